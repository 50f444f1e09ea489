"""Reads folders of records twice, first landmarks, then pictures, and collects all measurements."""

import zlib
from collections import defaultdict
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from tqdm import tqdm

from senet_landmark.data_tools.inspection.pictures import (
    MEAN_SIDE,
    Moments,
    PictureStats,
    ShardFaces,
    add_moments,
    empty_stats,
    measure_pictures,
)
from senet_landmark.data_tools.inspection.similarity import face_similarity
from senet_landmark.data_tools.inspection.table import Folder, TableFace
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
"""A face counts as mirrored if exchanging left and right reduces its distance to the mean face to
less than this share."""

FEWEST = 8
"""Smallest number of faces of a scheme whose shapes are judged; fewer only get a mean face."""

FEWEST_PICTURES = 20
"""Smallest number of faces of a scheme for judging whether the pictures fit the landmarks."""


@dataclass(frozen=True)
class Shape:
    """The shapes of the faces of one scheme.

    Attributes:
      scheme: the landmark scheme.
      faces: int [n], numbers of the faces in the survey.
      mean: complex [K], the symmetric mean face.
      aligned: the faces aligned to the mean; left and right of mirrored faces are corrected.
      gain: float64 [n], distance to the mean with left and right exchanged, divided by the distance
        without.
      offsets: complex [n, K], from the expected position of each landmark to the annotated one, in
        sizes of the face; NaN where unknown, and everywhere with fewer than `FEWEST` faces.
    """

    scheme: Scheme
    faces: np.ndarray
    mean: np.ndarray
    aligned: Aligned
    gain: np.ndarray
    offsets: np.ndarray

    @property
    def mirrored(self) -> np.ndarray:
        """Which faces have left and right swapped, bool [n]."""
        return self.gain < SWAPPED


@dataclass(frozen=True)
class Survey:
    """All measurements of the faces of some folders of records.

    Attributes:
      folders: the folders.
      faces: all faces, in the order of folders, splits and shards.
      shapes: the shapes of each scheme.
      stats: measurements of the pictures, in the order of `faces`.
      similarity: float64 [N], see `similarity.face_similarity`; NaN where not judged.
      mean_pictures: (folder, split) -> mean of the recorded crops, RGB uint8.
    """

    folders: list[Folder]
    faces: list[TableFace]
    shapes: list[Shape]
    stats: PictureStats
    similarity: np.ndarray
    mean_pictures: dict[tuple[int, str], np.ndarray]

    def side_name(self, face: int) -> str:
        """Name of a face's folder and split; without the folder if there is only one."""
        return self.name_of(self.faces[face].split_in_folder)

    def name_of(self, side: tuple[int, str]) -> str:
        """The same for (number of the folder, split)."""
        folder, split = side
        return split if len(self.folders) == 1 else f"{self.folders[folder].name}/{split}"

    def sides(self) -> dict[tuple[int, str], np.ndarray]:
        """(folder, split) -> the numbers of its faces."""
        sides: dict[tuple[int, str], list[int]] = defaultdict(list)
        for index, face in enumerate(self.faces):
            sides[face.split_in_folder].append(index)
        return {side: np.array(numbers) for side, numbers in sides.items()}


def make_survey(folders: list[Folder], faces: list[TableFace], workers: int = 0) -> Survey:
    """Fits the shapes, then reads each picture once.

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
    shards = [
        _shard_faces(shard, numbers, faces, turn, move, folds) for shard, numbers in groups.items()
    ]
    rows = [np.array(numbers) for numbers in groups.values()]
    stats = empty_stats(len(faces))
    totals: dict[tuple[int, str], np.ndarray] = {}
    decoys: dict[str, Moments] = {}
    # To start a process takes as long as to measure some hundred pictures.
    workers = 1 if len(faces) < 1000 else worker_count(workers, len(shards))
    with tqdm(total=len(faces), desc="reading pictures", unit="face", dynamic_ncols=True) as bar:
        for number, (shard_stats, shard_decoys, total) in as_completed(
            measure_pictures, shards, workers
        ):
            for field in fields(PictureStats):
                getattr(stats, field.name)[rows[number]] = getattr(shard_stats, field.name)
            scheme = shards[number].scheme
            decoys[scheme] = add_moments(decoys.get(scheme), shard_decoys)
            side = faces[rows[number][0]].split_in_folder
            totals[side] = totals.get(side, np.zeros((MEAN_SIDE, MEAN_SIDE, 3))) + total
            bar.update(len(rows[number]))
    similarity = np.full(len(faces), np.nan)
    for shape in shapes:
        if len(shape.faces) >= FEWEST_PICTURES:
            chosen = shape.faces
            similarity[chosen] = face_similarity(
                stats.features[chosen], folds[chosen], decoys[shape.scheme.name]
            )
    survey = Survey(folders, faces, shapes, stats, similarity, {})
    for side, numbers in survey.sides().items():
        survey.mean_pictures[side] = np.uint8(np.rint(totals[side] / len(numbers)))
    return survey


def _shape(scheme: Scheme, faces: list[TableFace], folds: np.ndarray) -> Shape:
    numbers = np.array([i for i, face in enumerate(faces) if face.record.scheme == scheme.name])
    points = as_complex(np.stack([faces[i].points for i in numbers]))
    mean = mean_shape(points, scheme)
    unchanged, permuted = align(points, mean), align(points[:, scheme.mirror_index], mean)
    gain = permuted.distance(mean) / np.maximum(unchanged.distance(mean), 1e-9)
    swapped = gain < SWAPPED
    aligned = Aligned(
        *(
            np.where(swapped.reshape(-1, *[1] * (new.ndim - 1)), new, old)
            for new, old in zip(
                (permuted.points, permuted.turn, permuted.move),
                (unchanged.points, unchanged.turn, unchanged.move),
                strict=True,
            )
        )
    )
    offsets = np.full(points.shape, np.nan, complex)
    if len(numbers) >= FEWEST:
        offsets = shape_residuals(aligned.points, mean, scheme, folds[numbers])
    return Shape(scheme, numbers, mean, aligned, gain, offsets)


def _shard_faces(
    shard: Path,
    numbers: list[int],
    faces: list[TableFace],
    turn: np.ndarray,
    move: np.ndarray,
    folds: np.ndarray,
) -> ShardFaces:
    members = [faces[i] for i in numbers]
    return ShardFaces(
        shard=shard,
        scheme=members[0].record.scheme,
        spans=tuple((face.start, face.length, face.record.source) for face in members),
        points=np.stack([face.points for face in members]),
        poses=np.stack([face.record.pose for face in members]),
        regions=np.stack([face.record.region for face in members]).astype(np.float64),
        boxes=np.stack([face.record.box for face in members]).astype(np.float64),
        turn=turn[numbers],
        move=move[numbers],
        folds=folds[numbers],
    )
