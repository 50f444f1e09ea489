"""How well a tracker keeps faces apart, on clips whose truth is known (`made_clips.py`)."""

from collections.abc import Iterable, Sequence

import numpy as np

from made_clips import Truth

Found = tuple[int, np.ndarray]
"""An identity, and the landmarks [68, 2] found for it."""

SEEN_ENOUGH = 0.7
"""A face of which so much is seen is one that a tracker must have. One of which less is seen counts
for nothing: where two faces are blended, nobody can say which of them is there."""

MATCH = 0.3
"""A face is found where the landmarks are so near on average, in distances of the eye corners."""


def score_identities(frames: Iterable[tuple[Sequence[Truth], Sequence[Found]]]) -> dict[str, float]:
    """Compares what a tracker found with the truth, frame by frame.

    Returns:
      `frames`; `faces`, that are seen enough; `lost`, those that were not found, and `longest`, the
      most frames in a row of one face; `swaps`, how often an identity went from one actor to
      another; `renewed`, how often an actor came by another identity than it had; `strays`, found
      where there is none; `nme`, mean distance of those found in % of the outer eye corners'.
    """
    actor_of: dict[int, int] = {}
    identity_of: dict[int, int] = {}
    counts = dict.fromkeys(("frames", "faces", "lost", "longest", "swaps", "renewed", "strays"), 0)
    streak: dict[int, int] = {}
    total, number = 0.0, 0
    for truths, found in frames:
        counts["frames"] += 1
        left = list(found)
        for truth in sorted(truths, key=lambda t: -t.seen):
            needed = truth.seen >= SEEN_ENOUGH
            counts["faces"] += needed
            corners = truth.landmarks[[36, 45]]
            norm = float(np.linalg.norm(corners[0] - corners[1]))
            distances = [
                float(np.linalg.norm(points - truth.landmarks, axis=1).mean()) / norm
                for _, points in left
            ]
            best = int(np.argmin(distances)) if distances else -1
            if best < 0 or distances[best] >= MATCH:
                streak[truth.actor] = streak.get(truth.actor, 0) + 1 if needed else 0
                counts["lost"] += needed
                counts["longest"] = max(counts["longest"], streak[truth.actor])
                continue
            streak[truth.actor] = 0
            identity, _ = left.pop(best)
            if not needed:
                continue
            counts["swaps"] += actor_of.setdefault(identity, truth.actor) != truth.actor
            actor_of[identity] = truth.actor
            counts["renewed"] += identity_of.setdefault(truth.actor, identity) != identity
            identity_of[truth.actor] = identity
            total += distances[best]
            number += 1
        counts["strays"] += len(left)
    return {**counts, "nme": 100 * total / number if number else float("nan")}
