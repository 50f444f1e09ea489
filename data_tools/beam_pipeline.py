"""Apache Beam, checked before it is used: what the pipelines of this project share.

Install it with `pip install '.[beam]'`. Their work goes through files, so the folders of input and
output must have the same path on every worker: a shared file system (NFS, Filestore, a mounted
bucket).
"""

import contextlib
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from senet_landmark.errors import InputError


def pipeline_options(runner: str, options: Sequence[str] | None = None) -> Any:
    """Beam's `PipelineOptions` for a runner.

    Args:
      runner: name of the Beam runner.
      options: more options of the pipeline, as on Beam's command line.

    Raises:
      InputError: Beam is not installed, or it has no such runner.
    """
    try:
        from apache_beam.options.pipeline_options import PipelineOptions
        from apache_beam.runners import create_runner
    except ImportError as error:
        raise InputError(
            "This runner needs Apache Beam. Install it with `pip install 'senet_landmark[beam]'`, "
            "or in this project's folder `pip install '.[beam]'`."
        ) from error
    try:
        create_runner(runner)
    except (ValueError, ImportError) as error:
        raise InputError(f"Apache Beam has no runner {runner!r}: {error}") from error
    return PipelineOptions([f"--runner={runner}", *(options or [])])


@contextlib.contextmanager
def running_pipeline(options: Any) -> Iterator[Any]:
    """Yields a pipeline, which runs when the block ends.

    Args:
      options: result of `pipeline_options`.

    Raises:
      InputError: in a worker, an `InputError`, or a file that could not be read or written.
      Exception: whatever else Beam raises.
    """
    import apache_beam as beam

    try:
        with _no_second_traceback(), beam.Pipeline(options=options) as pipeline:
            yield pipeline
    except Exception as error:
        reason = _reason(f"{type(error).__name__}: {error}")
        if reason is None:
            raise
        raise InputError(reason) from error


@contextlib.contextmanager
def _no_second_traceback() -> Iterator[None]:
    """Hides what local workers log of an error: it is raised, too."""
    names = ("apache_beam.runners.worker.sdk_worker", "apache_beam.runners.common")
    before = {name: logging.getLogger(name).level for name in names}
    try:
        for name in names:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


_RAISED = re.compile(
    r"(?:InputError|OSError|FileNotFoundError|NotADirectoryError|PermissionError): "
    r"(?:\[Errno \w+\] )?(.+)"
)


def _reason(text: str) -> str | None:
    """The message of a worker's error, of which Beam makes a longer text of another type."""
    reasons = _RAISED.findall(re.sub(r" \[while running '[^']*'\]", "", text))
    if not reasons:
        return None
    file = re.fullmatch(r"(.*): '([^']*)'", reasons[-1])
    return f"{file[2]}: {file[1]}" if file else str(reasons[-1])


def run_each(items: Sequence[Any], work: Callable[[Any], Any], options: Any) -> None:
    """Runs `work` on each item, on any worker; the results go where `work` writes them.

    Args:
      items: small values, such as paths of files with more: a pipeline may only have a few
        megabytes.
      work: a function of a module; what is left of a failed attempt must not hinder the next.
      options: result of `pipeline_options`.
    """
    import apache_beam as beam

    with running_pipeline(options) as pipeline:
        _ = pipeline | "items" >> beam.Create(items, reshuffle=True) | "work" >> beam.Map(work)
