"""COFW (Burgos-Artizzu et al., "Robust Face Landmark Estimation under Occlusion", ICCV 2013).

    ROOT/…/COFW_train_color.mat        IsTr [1, 1345] photos, phisTr [87, 1345], bboxesTr [4, 1345]
    ROOT/…/COFW_test_color.mat         IsT [1, 507], phisT [87, 507], bboxesT [4, 507]
    ROOT/…/COFW_train.mat, COFW_test.mat       the same in grey; read if the coloured file is absent

MATLAB 7.3 files are HDF5: the axes of arrays are reversed, and a cell array holds references. A
column of `phis` is 29 x, 29 y, then 29 flags that are 1 where the landmark is occluded; the
position of an occluded landmark is annotated too. A column of `bboxes` is left, top, width, height
of a box as a face detector gives it. Both are 1-based. The coloured files also hold some grey
photos. As published, the first 845 training photos come from LFPW and are hardly occluded; only the
other 500 are COFW's own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from senet_landmark.data_tools.datasets.reading.files import annotation_of, walk
from senet_landmark.data_tools.datasets.samples import Entry, Sample, sample_of
from senet_landmark.errors import InputError
from senet_landmark.io.images import MAX_PIXELS

KEYS = {"train": ("IsTr", "phisTr", "bboxesTr"), "test": ("IsT", "phisT", "bboxesT")}
"""Names of photos, landmarks and boxes in the file of a subset."""
_POINTS = 29
MOST = 100_000
"""Photos from which a file is not believed: an array of any size takes no room until it is read."""


def entries(root: Path, points: str = "auto") -> Iterator[Entry]:
    """The faces of the files below `root`, training first; one face a photo, counted from 0.

    Raises:
      InputError: a file is not MATLAB 7.3, or lacks an array.
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
                offset=index,
                subset=subset,
                test=subset == "test",
            )


def _file_of(root: Path, subset: str) -> Path | None:
    """The coloured file of a subset, else the grey one, else None; the first by name of several."""
    for name in (f"COFW_{subset}_color.mat", f"COFW_{subset}.mat"):
        if paths := [path for path in walk(root, {".mat"}) if path.name == name]:
            return paths[0]
    return None


def _count(path: Path, subset: str) -> int:
    """Number of faces in a file; reads no photo."""
    cells, phis, boxes = KEYS[subset]
    with _opened(path) as file:
        count = int(_array(file, cells, path).size)
        if count > MOST:
            raise InputError(f"{path}: claims {count} photos; COFW has some hundred a file.")
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
    # RCPR rounds the boxes to whole pixels: the edges are the outer borders of these pixels.
    left, top = box[:2] - 1.5
    return sample_of(
        entry,
        landmarks,
        visible=values[2 * _POINTS :] < 0.5,
        box=np.array([left, top, left + box[2], top + box[3]]),
    )


def photo(entry: Entry) -> np.ndarray:
    """Reads one photo from the file, RGB uint8 [H, W, 3]; a grey photo gets three equal channels.

    Raises:
      InputError: the file cannot be read, or does not hold the photo.
    """
    path = entry.photo
    with _opened(path) as file:
        cells = _array(file, KEYS[entry.subset][0], path)
        # With reversed axes a column of cells is a row, and a row would be a column.
        references = cells[()].ravel()
        if not 0 <= entry.offset < references.size:
            raise InputError(
                f"{path}: has {references.size} photos, none of number {entry.offset}."
            )
        try:
            array = file[references[entry.offset]]
            if array.size > 3 * MAX_PIXELS:
                raise InputError(f"{path}: photo {entry.offset} has {array.size} values, too many.")
            pixels = np.asarray(array).T
        except InputError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{path}: photo {entry.offset} is not there ({error}).") from error
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise InputError(
            f"{path}: photo {entry.offset} is {pixels.dtype} {pixels.shape}, not uint8 (H, W, 3)."
        )
    return np.ascontiguousarray(pixels)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Opens the HDF5 file; once for each face (1 ms), so that no handle is shared with a fork."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    except InputError:
        raise
    except Exception as error:  # the type of h5py's error depends on the damaged part
        raise InputError(f"{path}: is not a whole MATLAB 7.3 file ({error}).") from error


def _array(file: Any, key: str, path: Path) -> Any:
    """An array of the file, without reading its values."""
    if key not in file or not hasattr(file[key], "shape"):
        names = ", ".join(sorted(name for name in file if not name.startswith("#"))) or "nothing"
        raise InputError(f"{path}: has no array {key!r} (it has: {names}).")
    return file[key]


def _column(file: Any, key: str, entry: Entry, path: Path) -> np.ndarray:
    """An entry's column of an array, float64."""
    array = _array(file, key, path)
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise InputError(f"{path}: {key!r} is {array.dtype} {array.shape}, not a table of numbers.")
    if not 0 <= entry.offset < array.shape[1]:
        raise InputError(
            f"{path}: {key!r} has {array.shape[1]} faces, none of number {entry.offset}."
        )
    return np.asarray(array[:, entry.offset], np.float64)
