"""COFW (Burgos-Artizzu et al., "Robust Face Landmark Estimation under Occlusion", ICCV 2013).

    ROOT/…/COFW_train_color.mat        IsTr (1, 1345) photos, phisTr (87, 1345), bboxesTr (4, 1345)
    ROOT/…/COFW_test_color.mat         IsT (1, 507), phisT (87, 507), bboxesT (4, 507)
    ROOT/…/COFW_train.mat, COFW_test.mat       the same in grey; read where the coloured is absent

MATLAB 7.3 files, which are HDF5: arrays have their axes the other way round, a cell array holds
references. A column of `phis` is 29 x, 29 y, then 29 times 1 where the landmark is occluded; its
place is annotated all the same. One of `bboxes` is left, top, width, height of what a face detector
would say. Both are 1-based. The coloured files hold grey photos too. As published, the first 845
training photos are LFPW's, hardly occluded, and only the other 500 COFW's own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from senet_landmark.data_tools.datasets.files import annotation_of
from senet_landmark.data_tools.datasets.samples import Entry, Sample, sample_of
from senet_landmark.errors import InputError

KEYS = {"train": ("IsTr", "phisTr", "bboxesTr"), "test": ("IsT", "phisT", "bboxesT")}
"""Names of photos, landmarks and boxes in the file of a subset."""
_POINTS = 29


def entries(root: Path, points: str = "auto") -> Iterator[Entry]:
    """The faces of the files below `root`, training first; one a photo, counted from 0.

    Raises:
      InputError: a file is not MATLAB 7.3, or lacks what it should hold.
    """
    del points
    for subset in KEYS:
        path = _file_of(root, subset)
        if path is None:
            continue
        name = path.relative_to(root).as_posix()
        for index in range(_count(path, subset)):
            source = f"{name}#{index:04d}"
            yield Entry(
                photo=path,
                source=source,
                identity=source,
                annotations=(path,),
                scheme="cofw_29",
                place=index,
                subset=subset,
                test=subset == "test",
            )


def _file_of(root: Path, subset: str) -> Path | None:
    """The coloured file of a subset, or the grey one, or None; the first by name of several."""
    for name in (f"COFW_{subset}_color.mat", f"COFW_{subset}.mat"):
        if found := sorted(path for path in root.rglob(name) if path.is_file()):
            return found[0]
    return None


def _count(path: Path, subset: str) -> int:
    """How many faces a file holds; no photo is read."""
    cells, phis, boxes = KEYS[subset]
    with _opened(path) as file:
        count = _array(file, cells, path).size
        for key, rows in ((phis, 3 * _POINTS), (boxes, 4)):
            if (shape := _array(file, key, path).shape) != (rows, count):
                raise InputError(f"{path}: {key!r} is {shape}, not {(rows, count)}.")
    return count


def load(entry: Entry) -> Sample:
    """Reads one face's points, which of them are occluded, and its box.

    Raises:
      InputError: the file cannot be read, or does not hold the face.
    """
    path = annotation_of(entry)
    _, phis, boxes = KEYS[entry.subset]
    with _opened(path) as file:
        values = _column(file, phis, entry, path)
        box = _column(file, boxes, entry, path)
    if values.size != 3 * _POINTS or box.size != 4:
        raise InputError(f"{path}: {phis!r} has {values.size} rows, {boxes!r} {box.size}.")
    landmarks = values[: 2 * _POINTS].reshape(2, _POINTS).T - 1
    # RCPR rounds the boxes and takes them for pixels: the edges are those pixels' outer borders.
    left, top = box[:2] - 1.5
    return sample_of(
        entry,
        landmarks,
        visible=values[2 * _POINTS :] < 0.5,
        box=np.array([left, top, left + box[2], top + box[3]]),
    )


def photo(entry: Entry) -> np.ndarray:
    """Reads one photo out of the file, RGB uint8 [H, W, 3]; grey is repeated over the channels.

    Raises:
      InputError: the file cannot be read, or does not hold the photo.
    """
    path = entry.photo
    with _opened(path) as file:
        cells = _array(file, KEYS[entry.subset][0], path)
        # MATLAB writes a column of cells as a row, and would write a row as a column.
        references = cells[()].ravel()
        if not 0 <= entry.place < references.size:
            raise InputError(f"{path}: has {references.size} photos, none of number {entry.place}.")
        try:
            pixels = np.asarray(file[references[entry.place]]).T
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: photo {entry.place} is not there ({error}).") from error
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise InputError(
            f"{path}: photo {entry.place} is {pixels.dtype} {pixels.shape}, not uint8 (H, W, 3)."
        )
    return np.ascontiguousarray(pixels)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The HDF5 file, opened anew for each face: that takes 1 ms, and no handle crosses a fork."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    except InputError:
        raise
    except Exception as error:  # what h5py raises for a damaged part depends on the part
        raise InputError(f"{path}: is not a whole MATLAB 7.3 file ({error}).") from error


def _array(file: Any, key: str, path: Path) -> Any:
    """A variable of the file, unread."""
    if key not in file or not hasattr(file[key], "shape"):
        have = ", ".join(sorted(name for name in file if not name.startswith("#"))) or "nothing"
        raise InputError(f"{path}: has no array {key!r} (it has: {have}).")
    return file[key]


def _column(file: Any, key: str, entry: Entry, path: Path) -> np.ndarray:
    """An entry's column of a variable, float64."""
    array = _array(file, key, path)
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise InputError(f"{path}: {key!r} is {array.dtype} {array.shape}, not a table of numbers.")
    if not 0 <= entry.place < array.shape[1]:
        raise InputError(
            f"{path}: {key!r} has {array.shape[1]} faces, none of number {entry.place}."
        )
    return np.asarray(array[:, entry.place], np.float64)
