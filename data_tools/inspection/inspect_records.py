"""Records -> one page for visual inspection, and a list of suspect faces.

The report of a build only counts the faces. This page shows them, and lists those that may be
wrong: landmarks that do not form a face, left and right swapped, duplicate pictures.
"""

import csv
import io
from pathlib import Path
from typing import Any

from senet_landmark.data_tools.inspection.figures import figures_of
from senet_landmark.data_tools.inspection.page import render
from senet_landmark.data_tools.inspection.survey import Survey, make_survey
from senet_landmark.data_tools.inspection.suspects import Suspect, find_suspects
from senet_landmark.data_tools.inspection.table import open_folders, read_faces
from senet_landmark.errors import InputError
from senet_landmark.io.files import write_bytes, write_json

PAGE, SUSPECTS, FIGURES = "inspect.html", "suspects.csv", "inspect.json"

COLUMNS = (
    "folder", "split", "shard", "index", "source", "identity", "kind", "value", "why",
    "other_folder", "other_split", "other_source",
)  # fmt: skip


def inspect_records(
    folders: list[Path],
    out: Path,
    *,
    most: int = 24,
    sheet: int = 40,
    seed: int = 0,
    workers: int = 0,
) -> dict[str, Any]:
    """Writes a page about finished records, the list of suspect faces, and the figures.

    Args:
      folders: folders that `build_records` made; faces of different folders are also compared with
        each other.
      out: folder for `inspect.html`, `suspects.csv` and `inspect.json`; made if absent, files of
        these names are replaced.
      most: number of suspects of each kind that the page shows; the CSV has all.
      sheet: number of faces on the contact sheet of a split.
      seed: seed of the choice of faces on the contact sheets.
      workers: number of processes; 0: one a core.

    Returns:
      The content of `inspect.json`: counts of faces and suspects.

    Raises:
      InputError: no folder is given, a folder does not hold finished records of this schema, a file
        is damaged, or `out` is a file. Nothing is written then.
    """
    if most < 0 or sheet < 1:
        raise InputError(f"most must be at least 0 and sheet at least 1, not {most} and {sheet}.")
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; give a folder for the page.")
    opened = open_folders([Path(folder) for folder in folders])
    survey = make_survey(opened, read_faces(opened), workers)
    suspects = find_suspects(survey)
    figures = figures_of(survey, suspects)
    page = render(survey, suspects, figures, most=most, sheet=sheet, seed=seed)
    table = _csv(survey, suspects)
    write_bytes(out / SUSPECTS, table.encode())
    write_json(out / FIGURES, figures)
    write_bytes(out / PAGE, page.encode())
    return figures


def _csv(survey: Survey, suspects: dict[str, list[Suspect]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for suspects_of_kind in suspects.values():
        for suspect in suspects_of_kind:
            face = survey.faces[suspect.face]
            row: list[Any] = [
                survey.folders[face.folder].name, face.split, face.shard.name, face.index,
                face.record.source, face.record.identity, suspect.kind, suspect.value, suspect.why,
            ]  # fmt: skip
            if suspect.partner >= 0:
                other = survey.faces[suspect.partner]
                row += [survey.folders[other.folder].name, other.split, other.record.source]
            writer.writerow(row + [""] * (len(COLUMNS) - len(row)))
    return stream.getvalue()
