"""Reads records folders twice, landmarks then pictures, and keeps what the page is made of."""

import zlib
from collections import defaultdict
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from tqdm import tqdm

from senet_landmark.data_tools.inspection.likeness import likeness
from senet_landmark.data_tools.inspection.pictures import (
    MEAN_SIDE,
    Job,
    Looks,
    Moments,
    add_moments,
    empty_looks,
    look_at,
)
from senet_landmark.data_tools.inspection.table import Face, Folder
from senet_landmark.data_tools.parallel import as_completed, worker_count
from senet_landmark.face.procrustes import (
    FOLDS,
    Aligned,
    align,
    as_complex,
    mean_shape,
    shape_residuals,
)
from senet_landmark.face.schemes import Scheme, get_scheme

SWAPPED = 0.6
"""A face is mirrored when its indices permuted bring it this much nearer to the mean."""

FEWEST = 8
"""Faces of a scheme from which their shapes are judged; below it there is only the mean."""

FEWEST_LOOKS = 20
"""Faces of a scheme from which it is judged whether the picture fits the points."""


@dataclass(frozen=True)
class Shape:
    """The faces of one scheme.

    Attributes:
      scheme: theirs.
      faces: int [n], their numbers among all.
      mean: complex [K], the symmetric mean.
      aligned: the faces in its frame; mirrored ones with their indices put right.
      gain: float64 [n], distance to the mean with permuted indices over that with the given ones.
      offsets: complex [n, K], from the expected place of each landmark to it, in sizes of the
        face; NaN where unknown, and everywhere with fewer than `FEWEST` faces.
    """

    scheme: Scheme
    faces: np.ndarray
    mean: np.ndarray
    aligned: Aligned
    gain: np.ndarray
    offsets: np.ndarray

    @property
    def mirrored(self) -> np.ndarray:
        """Which have left and right mixed up, bool [n]."""
        return self.gain < SWAPPED


@dataclass(frozen=True)
class Survey:
    """All that is known of the faces of some folders.

    Attributes:
      folders: the folders.
      faces: all faces, in the order of folders, splits and shards.
      shapes: a scheme each.
      looks: of the pictures, in the order of `faces`.
      likeness: float64 [N], see `likeness.likeness`; NaN where not judged.
      mean_pictures: (folder, split) -> mean of the recorded crops, RGB uint8.
    """

    folders: list[Folder]
    faces: list[Face]
    shapes: list[Shape]
    looks: Looks
    likeness: np.ndarray
    mean_pictures: dict[tuple[int, str], np.ndarray]

    def side_name(self, face: int) -> str:
        """Folder and split of a face; the folder's name only where there are several."""
        return self.name_of(self.faces[face].split_in_folder)

    def name_of(self, side: tuple[int, str]) -> str:
        """The same of (number of the folder, split)."""
        folder, split = side
        return split if len(self.folders) == 1 else f"{self.folders[folder].name}/{split}"

    def sides(self) -> dict[tuple[int, str], np.ndarray]:
        """(folder, split) -> the numbers of its faces."""
        found: dict[tuple[int, str], list[int]] = defaultdict(list)
        for index, face in enumerate(self.faces):
            found[face.split_in_folder].append(index)
        return {side: np.array(numbers) for side, numbers in found.items()}


def make_survey(folders: list[Folder], faces: list[Face], workers: int = 0) -> Survey:
    """Fits the shapes, then reads every picture once.

    Raises:
      InputError: a picture does not decode.
    """
    folds = np.array([zlib.crc32(face.record.identity.encode()) % FOLDS for face in faces])
    shapes = [
        _shape(get_scheme(name), faces, folds)
        for name in sorted({face.record.scheme for face in faces})
    ]
    turn, move = np.zeros(len(faces), complex), np.zeros(len(faces), complex)
    for shape in shapes:
        turn[shape.faces], move[shape.faces] = shape.aligned.turn, shape.aligned.move
    groups: dict[Path, list[int]] = defaultdict(list)
    for index, face in enumerate(faces):
        groups[face.shard].append(index)
    jobs = [_job(shard, numbers, faces, turn, move, folds) for shard, numbers in groups.items()]
    places = [np.array(numbers) for numbers in groups.values()]
    looks = empty_looks(len(faces))
    totals: dict[tuple[int, str], np.ndarray] = {}
    decoys: dict[str, Moments] = {}
    # A process takes as long to start as to look at some hundred pictures.
    workers = 1 if len(faces) < 1000 else worker_count(workers, len(jobs))
    with tqdm(total=len(faces), desc="looking", unit="face", dynamic_ncols=True) as bar:
        for number, (seen, moved, total) in as_completed(look_at, jobs, workers):
            for field in fields(Looks):
                getattr(looks, field.name)[places[number]] = getattr(seen, field.name)
            scheme = jobs[number].scheme
            decoys[scheme] = add_moments(decoys.get(scheme), moved)
            side = faces[places[number][0]].split_in_folder
            totals[side] = totals.get(side, np.zeros((MEAN_SIDE, MEAN_SIDE, 3))) + total
            bar.update(len(places[number]))
    alike = np.full(len(faces), np.nan)
    for shape in shapes:
        if len(shape.faces) >= FEWEST_LOOKS:
            own = shape.faces
            alike[own] = likeness(looks.features[own], folds[own], decoys[shape.scheme.name])
    survey = Survey(folders, faces, shapes, looks, alike, {})
    for side, numbers in survey.sides().items():
        survey.mean_pictures[side] = np.uint8(np.rint(totals[side] / len(numbers)))
    return survey


def _shape(scheme: Scheme, faces: list[Face], folds: np.ndarray) -> Shape:
    numbers = np.array([i for i, face in enumerate(faces) if face.record.scheme == scheme.name])
    points = as_complex(np.stack([faces[i].points for i in numbers]))
    mean = mean_shape(points, scheme)
    given, permuted = align(points, mean), align(points[:, scheme.mirror_index], mean)
    gain = permuted.distance(mean) / np.maximum(given.distance(mean), 1e-9)
    swapped = gain < SWAPPED
    aligned = Aligned(
        *(
            np.where(swapped.reshape(-1, *[1] * (new.ndim - 1)), new, old)
            for new, old in zip(
                (permuted.points, permuted.turn, permuted.move),
                (given.points, given.turn, given.move),
                strict=True,
            )
        )
    )
    offsets = np.full(points.shape, np.nan, complex)
    if len(numbers) >= FEWEST:
        offsets = shape_residuals(aligned.points, mean, scheme, folds[numbers])
    return Shape(scheme, numbers, mean, aligned, gain, offsets)


def _job(
    shard: Path,
    numbers: list[int],
    faces: list[Face],
    turn: np.ndarray,
    move: np.ndarray,
    folds: np.ndarray,
) -> Job:
    own = [faces[i] for i in numbers]
    return Job(
        shard=shard,
        scheme=own[0].record.scheme,
        places=tuple((face.start, face.length, face.record.source) for face in own),
        points=np.stack([face.points for face in own]),
        poses=np.stack([face.record.pose for face in own]),
        regions=np.stack([face.record.region for face in own]).astype(np.float64),
        boxes=np.stack([face.record.box for face in own]).astype(np.float64),
        turn=turn[numbers],
        move=move[numbers],
        folds=folds[numbers],
    )
