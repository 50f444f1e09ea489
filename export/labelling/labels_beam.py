"""Pseudo-labels on Apache Beam: the same function in its workers, and the same `labels.csv`.

Parts of the data set and their labels go through files in the folder of results, which must have
the same path on every worker, as the data set and the models must.
"""

import os
import pickle
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from senet_landmark.data_tools.beam_pipeline import pipeline_options, run_each
from senet_landmark.data_tools.datasets.samples import Entry, by_photo
from senet_landmark.export.labelling.pseudo_labels import Job, Label, Run, label_faces
from senet_landmark.io.files import write_bytes

PARTS = ".labels.tmp"
PART = 100
"""Photos of one part: what one worker does at a time."""


def beam_run(
    out: Path | str, runner: str = "DirectRunner", options: list[str] | None = None
) -> Run:
    """How `write_pseudo_labels` labels its faces on Beam.

    Args:
      out: folder of the results.
      runner: name of the Beam runner.
      options: more options of the pipeline, as on Beam's command line.

    Raises:
      InputError: Beam is not installed, or it has no such runner.
    """
    flags = pipeline_options(runner, options)
    folder = Path(out).absolute() / PARTS

    def run(job: Job, entries: list[Entry], skipped: list[dict[str, str]]) -> Iterator[Label]:
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
        job = Job(
            tuple(os.path.abspath(m) if m and Path(m).is_file() else m for m in job.models),
            replace(job.faces, root=job.faces.root.absolute()),
        )
        photos = by_photo([_absolute(entry) for entry in entries])
        plans = [folder / f"{start:09d}.plan" for start in range(0, len(photos), PART)]
        try:
            for number, plan in enumerate(plans):
                part = photos[number * PART : (number + 1) * PART]
                write_bytes(plan, pickle.dumps((job, [face for photo in part for face in photo])))
            run_each([str(plan) for plan in plans], do_part, flags)
            for plan in plans:
                labels, not_read = pickle.loads(_results(plan).read_bytes())
                skipped += not_read
                yield from labels
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    return run


def _absolute(entry: Entry) -> Entry:
    """The same face, for workers with a current folder of their own."""
    annotations = tuple(path.absolute() for path in entry.annotations)
    return replace(entry, photo=entry.photo.absolute(), annotations=annotations)


def _results(plan: Path) -> Path:
    return plan.with_suffix(".done")


def do_part(plan: str) -> None:
    """Labels the faces of a part, in any worker."""
    job, entries = pickle.loads(Path(plan).read_bytes())
    skipped: list[dict[str, str]] = []
    labels = list(label_faces(job, entries, skipped))
    write_bytes(_results(Path(plan)), pickle.dumps((labels, skipped)))
