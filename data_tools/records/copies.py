"""Finds duplicate pictures, exact ones and near ones, by comparing the bits of signatures.

Photos that are copies of each other, mirrored or not, are one identity: else a split would have the
same photo on two sides.

Two signatures of 128 bits that differ in at most 7 bits are equal in at least one of 8 bands of 16
bits. So the signatures are sorted by each band in turn, and each one is compared with the next few:
the work grows with the number of pictures, not with its square. If very many pictures share a band,
some pairs may be missed.
"""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from senet_landmark.data_tools.datasets.registry import load_grey
from senet_landmark.data_tools.datasets.samples import Entry, by_photo, identity_of
from senet_landmark.data_tools.parallel import as_completed, worker_count
from senet_landmark.errors import InputError

THUMB = 16
"""Side in pixels of the small grey picture by which copies are compared."""
PHOTO_THUMB = 32
"""The same for whole photos, which are compared more strictly than crops."""
SAME_PHOTO = 0.997
"""Smallest correlation of the small pictures of copies of a photo. Saved again or resized it stays
above; moved by a two-hundredth of its width, as the next frame of a video, it falls below."""
SERIES = 3
"""Largest number of identities that less strictly alike photos, by `NEAR_CORRELATION`, make one.
Where there are more, they are a series before one background, and their likeness says nothing."""
FLAT = 4.0
"""Standard deviation of the grey levels below which a picture is too uniform to be compared."""
PART = 500
"""Photos that a worker reads at a time; fewer are read in this process."""

NEAR_BITS = 7
"""Largest number of bits, of 128, in which the signatures of near copies differ."""
NEAR_CORRELATION = 0.98
"""Smallest correlation of the grey levels of the small pictures of near copies."""
WINDOW = 24
"""Number of successors with which each signature is compared in a band."""
BANDS = 8


def near_pairs(signatures: np.ndarray, thumbs: np.ndarray) -> list[tuple[int, int, float]]:
    """(first, second, correlation) of near copies, the most similar first; each pair once.

    Args:
      signatures: uint8 [N, 16].
      thumbs: uint8 [N, S, S], grey.
    """
    pairs = _alike(signatures)
    similarity = np.array([_correlation(thumbs[a], thumbs[b]) for a, b in pairs])
    order = np.argsort(-similarity, kind="stable")
    return [
        (int(pairs[i, 0]), int(pairs[i, 1]), float(similarity[i]))
        for i in order
        if similarity[i] >= NEAR_CORRELATION
    ]


def _alike(signatures: np.ndarray) -> np.ndarray:
    """Pairs int [P, 2] of signatures uint8 [N, 16] that differ in at most `NEAR_BITS` bits."""
    candidates: list[np.ndarray] = [np.zeros((0, 2), np.intp)]
    count = len(signatures)
    for band in range(BANDS):
        rolled = np.roll(signatures, -2 * band, axis=1)
        order = np.lexsort(rolled.T[::-1])
        key = rolled[order, :2]
        for step in range(1, min(WINDOW, count - 1) + 1):
            same = np.flatnonzero((key[step:] == key[:-step]).all(axis=1))
            if not len(same):
                break
            pairs = np.stack([order[same], order[same + step]], axis=1)
            differing = signatures[pairs[:, 0]] ^ signatures[pairs[:, 1]]
            bits = np.unpackbits(differing, axis=1).sum(axis=1)
            candidates.append(np.sort(pairs[bits <= NEAR_BITS], axis=1))
    return np.unique(np.concatenate(candidates), axis=0)


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of the grey levels of two pictures; -1 with a uniform one."""
    a, b = (picture.ravel().astype(np.float64) - picture.mean() for picture in (one, other))
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale else -1.0


def equal_pairs(digests: np.ndarray) -> list[tuple[int, int]]:
    """(first, other) of pictures with equal digests uint8 [N, 16]; `first` is the first of them."""
    first: dict[bytes, int] = {}
    pairs = []
    for index, digest in enumerate(digests):
        before = first.setdefault(digest.tobytes(), index)
        if before != index:
            pairs.append((before, index))
    return pairs


def resized(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """A picture [H, W] or [H, W, 3] as a whole at another size; each pixel is a mean."""
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def signature(grey: np.ndarray) -> np.ndarray:
    """The signature uint8 [16] of a grey picture [H, W]; see `PictureStats`."""
    across, down = resized(grey, 9, 8), resized(grey, 8, 9)
    bits = np.concatenate(
        [(across[:, 1:] > across[:, :-1]).ravel(), (down[1:] > down[:-1]).ravel()]
    )
    return np.packbits(bits)


Photo = tuple[Entry, ...]
"""All faces of one photo."""


@dataclass(frozen=True)
class _Part:
    """Some photos, for one worker, by the first entry of each."""

    dataset: str
    entries: tuple[Entry, ...]

    def __str__(self) -> str:
        return f"{self.entries[0].photo} and the {len(self.entries) - 1} photos after it"


def joined_copies(
    dataset: str, entries: Iterable[Entry], workers: int = 1
) -> tuple[list[Entry], list[list[str]]]:
    """Gives the faces of photos that are copies of each other the same identity.

    Reads all photos once, the large ones at an eighth of their size. A photo that cannot be read is
    passed over. Identities that the user gave are kept.

    Args:
      dataset: name of the data set.
      entries: its faces.
      workers: number of processes; 0: one a core.

    Returns:
      The entries in their order, and the sources of the photos of each group of copies, whether
      their pictures or their names (`identity_of`) say so.
    """
    entries = list(entries)
    photos = by_photo(entries)
    parts = [
        _Part(dataset, tuple(photo[0] for photo in photos[start : start + PART]))
        for start in range(0, len(photos), PART)
    ]
    signatures = np.zeros((2, len(photos), 16), np.uint8)
    thumbs = np.zeros((len(photos), PHOTO_THUMB, PHOTO_THUMB), np.uint8)
    for number, part in as_completed(_looks, parts, worker_count(workers, len(parts))):
        rows = slice(number * PART, number * PART + len(parts[number].entries))
        signatures[:, rows], thumbs[rows] = part
    known = np.flatnonzero([thumb.std() > FLAT for thumb in thumbs])
    groups, copied, alike = _Groups(), _Groups(), _Groups()
    by_name: dict[str, list[str]] = {}
    for photo in photos:
        if photo[0].identity == identity_of(photo[0].source):
            by_name.setdefault(photo[0].identity, []).append(photo[0].source)
    for sources in by_name.values():
        copied.join(sources)
    near: list[tuple[Photo, Photo]] = []

    def join(both: tuple[Photo, Photo]) -> None:
        copied.join([photo[0].source for photo in both])
        groups.join([entry.identity for photo in both for entry in photo])

    # Each photo, and behind them each mirrored one.
    for a, b in _alike(np.concatenate(signatures[:, known])):
        if a >= len(known):  # both mirrored: the pair is there unmirrored too
            continue
        one, other = known[a], known[b % len(known)]
        pair = thumbs[one], thumbs[other][:, ::-1] if b >= len(known) else thumbs[other]
        both = photos[one], photos[other]
        faces = [entry for photo in both for entry in photo]
        if len({entry.identity for entry in faces}) == 1 or all(e.given for e in faces):
            continue
        if _correlation(*pair) >= SAME_PHOTO:
            join(both)
        elif both[0][0].test == both[1][0].test and _is_near(*pair):
            near.append(both)
    for both in near:
        alike.join([groups.first(entry.identity) for photo in both for entry in photo])
    series = {name for group in alike.groups() if len(group) > SERIES for name in group}
    for both in [both for both in near if groups.first(both[0][0].identity) not in series]:
        join(both)
    return (
        [replace(entry, identity=groups.first(entry.identity)) for entry in entries],
        copied.groups(),
    )


def _is_near(one: np.ndarray, other: np.ndarray) -> bool:
    small = (resized(thumb, THUMB, THUMB) for thumb in (one, other))
    return _correlation(*small) >= NEAR_CORRELATION


def _looks(part: _Part) -> tuple[np.ndarray, np.ndarray]:
    """Signatures [2, n, 16] of n photos and of their mirror images, and the thumbs [n, S, S].

    They are 0 for a photo that cannot be read.
    """
    count = len(part.entries)
    signatures = np.zeros((2, count, 16), np.uint8)
    thumbs = np.zeros((count, PHOTO_THUMB, PHOTO_THUMB), np.uint8)
    for n, entry in enumerate(part.entries):
        with contextlib.suppress(InputError):  # reading its faces reports it
            grey = load_grey(part.dataset, entry)
            signatures[:, n] = signature(grey), signature(cv2.flip(grey, 1))
            thumbs[n] = resized(grey, PHOTO_THUMB, PHOTO_THUMB)
    return signatures, thumbs


class _Groups:
    """Names that belong together, directly or through others."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def first(self, name: str) -> str:
        """The first name, in their order, of those that belong to `name`."""
        while (above := self._above.get(name, name)) != name:
            name = above
        return name

    def join(self, names: list[str]) -> None:
        """Makes one group of the groups of some names."""
        firsts = {self.first(name) for name in names}
        self._above |= dict.fromkeys([*names, *firsts], min(firsts))

    def groups(self) -> list[list[str]]:
        """The names of each group, sorted."""
        groups: dict[str, list[str]] = {}
        for name in sorted(self._above):
            groups.setdefault(self.first(name), []).append(name)
        return [names for names in groups.values() if len(names) > 1]
