"""Finds duplicate pictures, exact ones and near ones, by comparing the bits of signatures.

Two signatures of 128 bits that differ in at most 7 bits are equal in at least one of 8 bands of 16
bits. So the signatures are sorted by each band in turn, and each one is compared with the next few:
the work grows with the number of pictures, not with its square. If very many pictures share a band,
some pairs may be missed.
"""

import numpy as np

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
    candidates: list[np.ndarray] = []
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
    if not candidates:
        return []
    pairs = np.unique(np.concatenate(candidates), axis=0)
    similarity = np.array(
        [np.corrcoef(thumbs[a].ravel(), thumbs[b].ravel())[0, 1] for a, b in pairs]
    )
    order = np.argsort(-similarity, kind="stable")
    return [
        (int(pairs[i, 0]), int(pairs[i, 1]), float(similarity[i]))
        for i in order
        if similarity[i] >= NEAR_CORRELATION
    ]


def equal_pairs(digests: np.ndarray) -> list[tuple[int, int]]:
    """(first, other) of pictures with equal digests uint8 [N, 16]; `first` is the first of them."""
    first: dict[bytes, int] = {}
    pairs = []
    for index, digest in enumerate(digests):
        before = first.setdefault(digest.tobytes(), index)
        if before != index:
            pairs.append((before, index))
    return pairs
