"""Pictures that are there twice, to the pixel or nearly: pairs by a signature's bits.

Two signatures of 128 bits that differ in at most 7 bits are equal in one of 8 bands of 16 bits. So
for each band the signatures are sorted by it, and each is compared with the next few: the work
grows with the number of pictures, not with its square. Where very many pictures share a band, some
pairs may be passed over.
"""

import numpy as np

NEAR_BITS = 7
"""Bits in which the signatures of near copies may differ, of 128."""
NEAR_CORRELATION = 0.98
"""Correlation of the grey levels of the small pictures from which they are near copies."""
WINDOW = 24
"""With how many successors each signature is compared, a band."""
BANDS = 8


def near_pairs(signatures: np.ndarray, thumbs: np.ndarray) -> list[tuple[int, int, float]]:
    """(first, second, correlation) of near copies, most alike first; each pair once.

    Args:
      signatures: uint8 [N, 16].
      thumbs: uint8 [N, S, S], grey.
    """
    found: list[np.ndarray] = []
    count = len(signatures)
    for band in range(BANDS):
        turned = np.roll(signatures, -2 * band, axis=1)
        order = np.lexsort(turned.T[::-1])
        key = turned[order, :2]
        for step in range(1, min(WINDOW, count - 1) + 1):
            same = np.flatnonzero((key[step:] == key[:-step]).all(axis=1))
            if not len(same):
                break
            pairs = np.stack([order[same], order[same + step]], axis=1)
            differing = signatures[pairs[:, 0]] ^ signatures[pairs[:, 1]]
            bits = np.unpackbits(differing, axis=1).sum(axis=1)
            found.append(np.sort(pairs[bits <= NEAR_BITS], axis=1))
    if not found:
        return []
    pairs = np.unique(np.concatenate(found), axis=0)
    alike = np.array([np.corrcoef(thumbs[a].ravel(), thumbs[b].ravel())[0, 1] for a, b in pairs])
    order = np.argsort(-alike, kind="stable")
    return [
        (int(pairs[i, 0]), int(pairs[i, 1]), float(alike[i]))
        for i in order
        if alike[i] >= NEAR_CORRELATION
    ]


def equal_pairs(digests: np.ndarray) -> list[tuple[int, int]]:
    """(first, other) of pictures with equal digests uint8 [N, 16]: the first of each with each."""
    first: dict[bytes, int] = {}
    pairs = []
    for index, digest in enumerate(digests):
        before = first.setdefault(digest.tobytes(), index)
        if before != index:
            pairs.append((before, index))
    return pairs
