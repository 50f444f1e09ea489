"""300W-LP as prepared by tensorflow-datasets: its data set `the300w_lp`, version 1.0.0.

    ROOT/the300w_lp/1.0.0/dataset_info.json, features.json
    ROOT/the300w_lp/1.0.0/the300w_lp-train.tfrecord-00000-of-N, …     or .array_record-…

ROOT may be the library's `data_dir`, the folder of the data set or that of the version. An example
holds the view's original JPEG, and `pt2d`, `pts_2d`, `pts_3d` (see `w300lp.py`) divided by 450,
under other names. It holds neither flips nor file names. The views of one photo are recognised by
their `shape_params`: turning a fitted face changes its pose but not its shape. Two faces of one
photo have different fits; so, unlike in the 300w_lp reader, they are two identities.

The library is an extra. The layout is as in its `datasets/the300w_lp/`, release 4.9.10.
"""

import functools
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from senet_landmark.data_tools.datasets.reading.tfrecord_files import record_at, records_in
from senet_landmark.data_tools.datasets.samples import Entry, Sample, sample_of
from senet_landmark.errors import InputError
from senet_landmark.face.pose import pose_from_para
from senet_landmark.face.schemes import TRUE_JAW
from senet_landmark.io.images import decode_photo
from senet_landmark.runtime import import_quietly

POINTS = ("auto", "landmarks_2d", "landmarks_3d", "landmarks_origin")
"""auto: `landmarks_2d`, which are `pts_2d`; `landmarks_origin` are `pt2d`."""
_FORMATS = ("tfrecord", "array_record")
_FEATURES = {"image", "pose_params", "shape_params", *POINTS[1:]}
# The generator divides by this number, the width and height of the photos.
_SIDE = 450.0


def entries(root: Path, points: str = "auto") -> Iterator[Entry]:
    """The views of the newest version below `root`, in the order of the shards.

    Reads all shards once, for checksums and identities; decodes no photo.

    Raises:
      InputError: tensorflow-datasets is not installed, the folder holds another data set or a
        format without random access, or a shard is absent, damaged or too short.
    """
    _library()
    folder = _version_folder(root)
    if folder is None:
        return
    builder = _builder(folder)
    file_format = builder.info.file_format.value
    if file_format not in _FORMATS:
        raise InputError(
            f"{folder}: is in the format {file_format}; convert it to tfrecord with "
            "`tfds convert_format`."
        )
    for split, info in builder.info.splits.items():
        for path, count in zip(info.filepaths, info.shard_lengths, strict=True):
            shard = Path(path)
            number = -1
            for number, (offset, data) in enumerate(records_in(shard)):
                source = f"{shard.name}#{number:05d}"
                yield Entry(
                    photo=shard,
                    source=source,
                    identity=_shape_digest(data, f"{shard.parent / source}"),
                    annotations=(shard,),
                    scheme=TRUE_JAW if points == "landmarks_3d" else "300w_68",
                    offset=offset,
                    subset=split,
                    test=split == "test",
                    points=points,
                )
            if number + 1 != count:
                raise InputError(
                    f"{shard}: holds {number + 1} examples, dataset_info.json says {count}."
                )


def load(entry: Entry) -> Sample:
    """Reads one view's points and pose. Raises InputError that names the shard and the example."""
    where = str(entry.photo.parent / entry.source)
    values = _example(entry, where)
    key = POINTS[1] if entry.points == "auto" else entry.points
    try:
        pose = pose_from_para(values["pose_params"])
    except ValueError as error:
        raise InputError(f"{where}: {error}") from error
    return sample_of(entry, values[key] * _SIDE, pose=pose)


def photo(entry: Entry) -> np.ndarray:
    """Decodes one view, RGB uint8 [450, 450, 3]. Raises InputError that names the example.

    It uses the project's own decoder, so that the pixels equal those of the 300w_lp reader.
    """
    where = str(entry.photo.parent / entry.source)
    return decode_photo(_example(entry, where)["image"], where)


def _example(entry: Entry, where: str) -> dict[str, Any]:
    """The features of an example; the image stays encoded as JPEG bytes."""
    tfds = _library()
    data = record_at(entry.photo, entry.offset)
    features = _builder(entry.photo.parent).info.features
    try:
        return features.deserialize_example_np(data, decoders={"image": tfds.decode.SkipDecoding()})
    except Exception as error:  # protobuf's DecodeError has no stable public name
        raise InputError(f"{where}: is not an example of the300w_lp ({error}).") from error


def _shape_digest(data: bytes, where: str) -> str:
    """16 hexadecimal digits that are equal for the views of one photo, and only for these."""
    import tensorflow.compat.v1 as tf

    try:
        feature = tf.train.Example.FromString(data).features.feature
    except Exception as error:
        raise InputError(f"{where}: is not a tf.train.Example ({error}).") from error
    # In the stored single precision and little-endian: the same bits on every machine.
    shape = np.array(feature["shape_params"].float_list.value, "<f4")
    if not shape.size:
        raise InputError(f"{where}: has no shape_params, which identify the views of one photo.")
    return hashlib.sha1(shape.tobytes(), usedforsecurity=False).hexdigest()[:16]


def _version_folder(root: Path) -> Path | None:
    """The folder of the newest version, or None."""
    for pattern in ("", "*/", "the300w_lp/*/"):
        folders = [path.parent for path in root.glob(f"{pattern}dataset_info.json")]
        if folders:
            return max(
                folders, key=lambda f: ([int(n) for n in re.findall(r"\d+", f.name)], f.name)
            )
    return None


@functools.lru_cache(maxsize=2)
def _builder(folder: Path) -> Any:
    """The library's description of a prepared data set; read once a process."""
    tfds = _library()
    try:
        builder = tfds.builder_from_directory(str(folder))
        missing = _FEATURES - set(builder.info.features)
    except Exception as error:  # from JSON, protobuf or the library's own checks
        raise InputError(f"{folder}: does not describe a TFDS data set ({error}).") from error
    if missing:
        raise InputError(
            f"{folder}: is the data set {builder.name}, without {', '.join(sorted(missing))}; "
            "the300w_lp is needed."
        )
    return builder


@functools.cache
def _library() -> Any:
    """The module tensorflow_datasets. Raises InputError that says how to install it."""
    import_quietly()
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise InputError(
            f"The data set tfds_300w_lp needs tensorflow-datasets ({error}): "
            'install the extra with `pip install ".[tfds]"`.'
        ) from error
    return tensorflow_datasets
