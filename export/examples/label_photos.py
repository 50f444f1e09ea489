"""A batch job: the landmarks of all photos in a folder, or in a list, labelled on Apache Beam.

python label_photos.py PHOTOS --out labels [--model senet-68] [--runner DirectRunner] [--OPTION …]

PHOTOS is a folder, or a text file with the path of a photo on each line, relative to that file.
What else is given goes to Beam (--direct_num_workers=4, --flink_master=host:8081). PHOTOS, the
model and OUT must have the same paths on every worker. After an interruption the same command goes
on. Needs `pip install "senet_landmark[beam]"`.
"""

import argparse
import sys
from pathlib import Path

from senet_landmark.errors import InputError
from senet_landmark.export.inference.predict import predict_photos
from senet_landmark.export.inference.predict_beam import beam_run


def photos_of(path: Path) -> list[Path]:
    """The folder, or the photos of the list."""
    if not path.is_file():
        return [path]
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is no list of photos. Give a folder or a text file.") from error
    photos = [path.parent / line.strip() for line in lines if line.strip()]
    if not photos:
        raise InputError(f"{path}: names no photo. Give the path of one on each line.")
    return photos


def main() -> int:
    """Labels the photos; 2 if nothing could be."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model")
    parser.add_argument("--runner", default="DirectRunner")
    arguments, beam_options = parser.parse_known_args()
    try:
        summary = predict_photos(
            photos_of(arguments.photos),
            arguments.out,
            predictor={"model": arguments.model},
            write=("csv",),
            pictures=False,
            run=beam_run(arguments.runner, beam_options),
        )
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for skipped in summary["skipped"]:
        print(f"skipped {skipped['photo']}: {skipped['reason']}", file=sys.stderr)
    print(f"{summary['faces']} faces in {summary['photos']} photos -> {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
