"""The record builder on Apache Beam: the same functions as `build_records`, and the same files.

Beam runs `photo_boxes` and `photo_faces` of `photos.py` on any of its runners (its own local one,
Dataflow, Flink, Spark). The faces of a shard are then collected in their order and written. The
root and the output folder must have the same path on every worker, so they must be on a shared file
system (NFS, Filestore, a mounted bucket). Install Beam with `pip install '.[beam]'`.
"""

import pickle
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from senet_landmark.config import RecordsConfig
from senet_landmark.data_tools.beam_pipeline import pipeline_options, running_pipeline
from senet_landmark.data_tools.records.build_records import (
    building,
    corrected,
    finish,
    plan_build,
    shards_to_fit,
)
from senet_landmark.data_tools.records.photos import FoundBox, Job, Photo, photo_boxes, photo_faces
from senet_landmark.data_tools.records.shards import PARTS, Shard, work_of, write_boxes, write_faces
from senet_landmark.face.boxes import LANDMARKS
from senet_landmark.io.files import write_bytes
from senet_landmark.runtime import import_quietly


def build_records_beam(
    dataset: str,
    root: Path | str,
    out: Path | str,
    config: RecordsConfig = RecordsConfig(),
    *,
    boxes: str = LANDMARKS,
    detector_model: Path | None = None,
    points: str = "auto",
    runner: str = "DirectRunner",
    options: list[str] | None = None,
) -> dict[str, Any]:
    """Builds the records of a data set on Beam; writes the same bytes as `build_records`.

    Args:
      dataset, root, out, config, boxes, detector_model, points: see `build_records`.
      runner: name of the Beam runner.
      options: more options of the pipeline, as on Beam's command line.

    Returns:
      The report.

    Raises:
      InputError: as in `build_records`; Beam is not installed; or it has no such runner.
    """
    flags = pipeline_options(runner, options)
    plan = plan_build(
        dataset, Path(root).resolve(), Path(out).resolve(), config, boxes,
        None if detector_model is None else Path(detector_model).resolve(), points,
    )  # fmt: skip
    with building(plan):
        shards = plan.shards
        if fitted := shards_to_fit(plan):
            _run([s for s in fitted if not s.is_boxed], flags, photo_boxes, write_boxes)
            shards = corrected(shards, fitted)
        todo = [shard for shard in shards if not shard.is_written]
        _run(todo, flags, photo_faces, write_faces)
        return finish(plan, shards)


def _run(
    shards: list[Shard],
    flags: Any,
    work: Callable[[Job, Photo, dict[str, FoundBox] | None], Any],
    write: Callable[[Shard, Iterable[Any]], None],
) -> None:
    """Runs `work` for each photo of the shards, on any worker, and `write` for each shard."""
    if not shards:
        return
    import apache_beam as beam

    for shard in shards:
        # Plans go through the shared file system: a pipeline may only have a few megabytes.
        write_bytes(_plan_path(shard), pickle.dumps(shard))
    paths = [str(_plan_path(shard)) for shard in shards]
    with running_pipeline(flags) as pipeline:
        (
            pipeline
            | "shards" >> beam.Create(paths, reshuffle=True)
            | "photos" >> beam.FlatMap(_photos)
            # Without reshuffling one worker would process all photos of a shard.
            | "spread" >> beam.Reshuffle()
            | "work" >> beam.Map(_numbered, work)
            | "gather" >> beam.GroupByKey()
            | "write" >> beam.Map(_in_order, write)
        )


Numbered = tuple[str, int, tuple[Job, Photo, dict[str, FoundBox] | None]]
"""(path of the shard's plan, number of the photo in the shard, arguments of `work`)."""


def _plan_path(shard: Shard) -> Path:
    return shard.out / PARTS / f"{shard.name}.plan"


def _photos(plan: str) -> Iterator[Numbered]:
    for number, arguments in enumerate(work_of(_read_plan(plan))):
        yield plan, number, arguments


def _read_plan(plan: str) -> Shard:
    shard: Shard = pickle.loads(Path(plan).read_bytes())
    return shard


def _numbered(element: Numbered, work: Callable[..., Any]) -> tuple[str, tuple[int, Any]]:
    plan, number, arguments = element
    return plan, (number, work(*arguments))


def _in_order(
    element: tuple[str, Iterable[tuple[int, Any]]], write: Callable[[Shard, Iterable[Any]], None]
) -> None:
    import_quietly()
    plan, results = element
    write(_read_plan(plan), [result for _, result in sorted(results, key=lambda pair: pair[0])])
