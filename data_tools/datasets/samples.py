"""The form into which every data set is read: entries and samples."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from senet_landmark.face.depth import centred
from senet_landmark.face.pose import known_pose

_MIRROR = re.compile(r"(?i)[ _.-](?:h?flip(?:ped)?|mirror(?:ed)?)$")
_SEVERAL = ("afw", "helen", "ibug")
"""Folders of 300W in which `NAME_1` and `NAME_2` are faces of one photo."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One annotated face of a data set that is listed but not read yet.

    It is small, so that millions fit into memory.

    Attributes:
      photo: file of the photo, or the file that holds it among others (COFW, TFDS).
      source: path of the photo below the data set's root, with slashes; followed by `#1`, `#2`, …
        for further faces of the photo, or further photos of the file. It is the sample's name, and
        text that can be written everywhere: bytes that are not UTF-8 are escaped.
      identity: the person, or the source photo of several views; faces of one identity stay in one
        split.
      annotations: files that may hold the annotation; the first one that exists is read.
      scheme: landmark scheme of the landmarks that `load` reads.
      offset: position of the face in the annotation file: a byte offset or a number from 0.
      line: line number for messages; 0 if the file holds only this face.
      subset: part of the data set as published: AFW, challenging, training …
      test: whether that part is published for testing.
      points: which annotation `load` reads, if a data set has several.
      given: whether the user named the identity, so that it is not found out from the pictures.
    """

    photo: Path
    source: str
    identity: str
    annotations: tuple[Path, ...]
    scheme: str
    offset: int = 0
    line: int = 0
    subset: str = ""
    test: bool = False
    points: str = "auto"
    given: bool = False

    @property
    def shot(self) -> tuple[Path, int]:
        """A key that is equal for all faces of one photo, and different for other photos."""
        return (self.photo, self.offset if self.photo in self.annotations else -1)

    @property
    def where(self) -> str:
        """File and line of the annotation, for messages."""
        path = next((p for p in self.annotations if os.path.isfile(p)), None) or self.photo
        return f"{path}, line {self.line}" if self.line else str(path)


@dataclass(frozen=True)
class Sample:
    """One annotated face.

    Attributes:
      photo, source, identity, scheme, subset: see `Entry`.
      landmarks: float32 [K, 2], 0-based pixels of the photo, may lie outside it; NaN where the
        data set has no position.
      visible: bool [K]; False where the data set marks the landmark as hidden.
      box: annotated face box, float64 [4], left, top, right, bottom in pixels; None if the data set
        has none.
      pose: float32 [3], yaw, pitch, roll in degrees; NaN where unknown.
      attributes: float32 [A], the classes of the data set's attributes, NaN where unknown.
      depth: float32 [K], the landmarks' depth in pixels of the photo (`senet_landmark.face.depth`);
        NaN where unknown, None if the data set has none.
    """

    photo: Path
    source: str
    identity: str
    scheme: str
    landmarks: np.ndarray
    visible: np.ndarray
    box: np.ndarray | None = None
    pose: np.ndarray = field(default_factory=lambda: np.full(3, np.nan, np.float32))
    attributes: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    subset: str = ""
    depth: np.ndarray | None = None


def sample_of(
    entry: Entry,
    landmarks: np.ndarray,
    *,
    visible: np.ndarray | None = None,
    box: np.ndarray | None = None,
    pose: Iterable[float] = (np.nan,) * 3,
    attributes: Iterable[float] = (),
    depth: np.ndarray | None = None,
) -> Sample:
    """Makes the sample of an entry; without `visible` all landmarks are visible.

    `depth` may have its zero anywhere.
    """
    if visible is None:
        visible = np.ones(len(landmarks), bool)
    with np.errstate(over="ignore"):  # then infinite, which `load_sample` reports
        landmarks = np.asarray(landmarks, np.float32)
        angles = np.array(list(pose), np.float32)
        if depth is not None:
            depth = centred(np.asarray(depth, np.float64)).astype(np.float32)
    return Sample(
        photo=entry.photo,
        source=entry.source,
        identity=entry.identity,
        scheme=entry.scheme,
        landmarks=landmarks,
        visible=np.asarray(visible, bool),
        box=None if box is None else np.asarray(box, np.float64),
        pose=angles,
        attributes=np.array(list(attributes), np.float32),
        subset=entry.subset,
        depth=depth,
    )


def numbered(source: str, counts: dict[str, int]) -> str:
    """`source` for a photo's first face, then `source#1`, `source#2`, …; see `Entry`."""
    count = counts.get(source, 0)
    counts[source] = count + 1
    return f"{source}#{count}" if count else source


def identity_of(source: str) -> str:
    """The photo's identity by its name: the source photo without suffix, if it is named alike.

    `helen/p1_mirror.jpg` -> `helen/p1`; `afw/1000000_2.jpg` -> `afw/1000000`, because a crop of one
    face shows parts of the other. Photos that do not have such names are found by their pictures:
    see `data_tools/records/copies.py`.
    """
    path = PurePosixPath(source)
    stem = path.stem
    while (shorter := _MIRROR.sub("", stem)) and shorter != stem:
        stem = shorter
    folders = {part.lower() for part in path.parts[:-1]}
    face = re.fullmatch(r"(.+)_[0-9]{1,2}", stem)
    # Numbers of five digits or more are those of photos on the web, as 300W's.
    if face and (folders.intersection(_SEVERAL) or re.fullmatch(r"\d{5,}", face[1])):
        stem = face[1]
    return (path.parent / stem).as_posix()


def by_photo(entries: Iterable[Entry]) -> list[tuple[Entry, ...]]:
    """The entries grouped by photo, both in order of first appearance."""
    groups: dict[object, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.shot, []).append(entry)
    return [tuple(group) for group in groups.values()]


def yaw_of(sample: Sample) -> float | None:
    """The annotated yaw in degrees, else the yaw fitted to the landmarks; None without both."""
    pose = known_pose(sample.pose, sample.landmarks, sample.scheme)
    return None if pose is None else pose[0]
