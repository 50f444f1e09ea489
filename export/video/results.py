"""What a folder of results holds of videos, so that none is lost, or replaced unasked.

`landmarks.videos.json` has of each video its path, the name and the files of its results, the
options, and whether it was done to its end:
    {"videos": [{"video", "name", "files", "settings", "finished", "summary", "sha256"}]}
It is written before the files are begun, so that the next run knows its own after a kill.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from senet_landmark.errors import InputError
from senet_landmark.export.inference.batch.inputs import Input, Names
from senet_landmark.export.inference.batch.lines import (
    VIDEOS,
    WORK,
    folder_key,
    photo_key,
    read_videos,
)
from senet_landmark.export.inference.batch.results import locked_folder
from senet_landmark.io.files import sha256, write_json


@dataclass
class VideoResults:
    """The results of one video while a run is at work on it.

    Attributes:
      before: the summary of an earlier run that did this video to its end; then nothing is to do.
      table, video: where the CSV and the annotated video are in the end.
      table_now, video_now: where they are written: there, or beside, if older ones are there.
      summary: what is known of the run, for the record.
      finished: whether the video was done to its end.
    """

    table: Path
    video: Path
    table_now: Path
    video_now: Path
    before: dict[str, Any] | None = None
    summary: dict[str, Any] = field(default_factory=dict)
    finished: bool = False


@contextlib.contextmanager
def video_results(
    out: Path,
    place: Input | None,
    name: str,
    settings: Mapping[str, Any],
    suffixes: tuple[str, str],
    overwrite: bool,
) -> Iterator[VideoResults]:
    """Opens a folder of results for one video, and records what became of it.

    Without any frame in `summary` nothing stays. Otherwise what was written stays, also if the run
    was stopped; but results that were there already are replaced only by a finished run, or by one
    that came further.

    Args:
      out: the folder; made if absent.
      place: the video among the inputs; None: a camera, whose every run is another recording.
      name: the beginning of the names of a camera's results.
      settings: the options of the run, as JSON has them.
      suffixes: ends of the names of the CSV and of the annotated video; "" for no video.
      overwrite: whether to replace whatever is there.

    Raises:
      InputError: another run is at work there; the video's results are of other options; or there
        are files of these names that no run wrote, or that somebody changed.
    """
    with locked_folder(out):
        entries = read_videos(out)
        key = None if place is None else photo_key(place.image)
        own = next((e for e in entries if key is not None and photo_key(e["video"]) == key), None)
        if own and own.get("settings") != settings and not overwrite:
            raise InputError(
                f"{own['video']}: {out} holds its results of other options. Give the same options, "
                "another --out, or --overwrite to begin anew."
            )
        files = [out / file for file in own["files"]] * 2 if own else []
        if own and own.get("finished") and not overwrite and all(map(os.path.exists, files)):
            yield VideoResults(files[0], files[1], out, out, own.get("summary", {}))
            return
        name = own["name"] if own else _new_name(out, place, name, entries, suffixes)
        names = [f"{name}{suffix}" for suffix in suffixes if suffix]
        if not overwrite:
            _check_files(out, names, own)
        entry = {
            "video": place.address or os.path.abspath(place.path) if place else str(name),
            "name": name,
            "files": sorted({*names, *(own or {"files": []})["files"]}, key=_by_table),
            "settings": settings,
            "finished": False,
            "summary": (own or {}).get("summary", {}),
            "sha256": (own or {}).get("sha256", ""),
        }
        others = [e for e in entries if e is not own]
        write_json(out / VIDEOS, {"videos": [*others, entry]})
        table, video = (out / f"{name}{suffix}" for suffix in suffixes)
        table.parent.mkdir(parents=True, exist_ok=True)
        results = VideoResults(table, video, _free(out, table), _free(out, video))
        frames_before = 0 if overwrite else entry["summary"].get("frames", 0)
        try:
            yield results
        finally:
            frames = results.summary.get("frames", 0)
            written = [
                (results.table_now, table),
                *([(results.video_now, video)] * bool(suffixes[1])),
            ]
            if frames and (results.finished or frames >= frames_before):
                for now, then in written:
                    if now != then and now.exists():
                        os.replace(now, then)
                kept = [file for file in entry["files"] if (out / file).exists()]
                entry |= {"finished": results.finished, "summary": results.summary, "files": kept}
                entry["sha256"] = sha256(table) if table.exists() else ""
            else:
                for now, _ in written:
                    with contextlib.suppress(OSError):  # a name that is too long was never made
                        now.unlink()
                entry = own or {}
            _record(out, [*others, *([entry] if entry else [])])


def _record(out: Path, entries: list[dict[str, Any]]) -> None:
    with contextlib.suppress(OSError):  # a full disk: the record from the beginning stays
        if entries:
            write_json(out / VIDEOS, {"videos": entries})
        else:
            (out / VIDEOS).unlink(missing_ok=True)


def _by_table(file: str) -> bool:
    return not file.endswith(".csv")


def _free(out: Path, path: Path) -> Path:
    """The path itself, or one in the folder for what is not finished, if there is such a file."""
    return out / WORK / f"video{path.suffix}" if os.path.lexists(path) else path


def _new_name(
    out: Path, place: Input | None, name: str, entries: list[dict[str, Any]], suffixes: Any
) -> str:
    if place is None:
        taken = {entry["name"] for entry in entries}
        number, numbered = 1, name
        while numbered in taken or any(os.path.lexists(out / f"{numbered}{s}") for s in suffixes):
            number += 1
            numbered = f"{name}_{number}"
        return numbered
    names = Names(numbered=False)
    for entry in entries:
        path = entry["video"]
        names.take(entry["name"], photo_key(path), folder_key(path))
    return names.give(place)


def _check_files(out: Path, files: list[str], own: dict[str, Any] | None) -> None:
    """Raises InputError where a file is there that no run wrote, or that somebody changed."""
    for file in files:
        path = out / file
        if not os.path.lexists(path):
            continue
        if own is None or file not in own["files"]:
            raise InputError(
                f"{path}: is there already, and predict did not write it. Give another --out, or "
                "--overwrite to replace it."
            )
        digest = own.get("sha256")
        if file == own["files"][0] and digest and sha256(path) != digest:
            raise InputError(
                f"{path}: is not as predict wrote it. Give another --out, or --overwrite to "
                "replace it."
            )
