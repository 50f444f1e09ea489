"""How well a tracker keeps faces apart, on clips with exact ground truth (`made_clips.py`)."""

from collections.abc import Iterable, Sequence

import numpy as np

from made_clips import Truth

Detection = tuple[int, np.ndarray]
"""An identity, and the landmarks [68, 2] that the tracker gives for it."""

SEEN_ENOUGH = 0.7
"""A tracker must find a face if at least this share of it is visible. A face that is less visible
does not count: where two faces are blended, nobody can say which of them it is."""

MATCH = 0.3
"""A detection matches a face if the mean distance of their landmarks is below this, as a share of
the distance between the eye corners."""


def score_identities(
    frames: Iterable[tuple[Sequence[Truth], Sequence[Detection]]],
) -> dict[str, float]:
    """Compares a tracker's detections with the ground truth, frame by frame.

    Args:
      frames: (true faces, detections) of each frame.

    Returns:
      `frames`: number of frames.
      `faces`: number of faces that are visible enough, summed over the frames.
      `lost`: number of these that the tracker missed.
      `longest`: largest number of frames in a row in which one face was missed.
      `id_switches`: how often an identity moved from one actor to another.
      `fragmentations`: how often an actor got another identity than it had before.
      `false_positives`: number of detections that match no face.
      `nme`: mean distance of the matched landmarks, in % of the distance of the outer eye corners.
    """
    actor_of: dict[int, int] = {}
    identity_of: dict[int, int] = {}
    counts = dict.fromkeys(
        ("frames", "faces", "lost", "longest", "id_switches", "fragmentations", "false_positives"),
        0,
    )
    streak: dict[int, int] = {}
    total, matched = 0.0, 0
    for truths, detections in frames:
        counts["frames"] += 1
        unmatched = list(detections)
        for truth in sorted(truths, key=lambda t: -t.seen):
            needed = truth.seen >= SEEN_ENOUGH
            counts["faces"] += needed
            corners = truth.landmarks[[36, 45]]
            norm = float(np.linalg.norm(corners[0] - corners[1]))
            distances = [
                float(np.linalg.norm(points - truth.landmarks, axis=1).mean()) / norm
                for _, points in unmatched
            ]
            best = int(np.argmin(distances)) if distances else -1
            if best < 0 or distances[best] >= MATCH:
                streak[truth.actor] = streak.get(truth.actor, 0) + 1 if needed else 0
                counts["lost"] += needed
                counts["longest"] = max(counts["longest"], streak[truth.actor])
                continue
            streak[truth.actor] = 0
            identity, _ = unmatched.pop(best)
            if not needed:
                continue
            counts["id_switches"] += actor_of.setdefault(identity, truth.actor) != truth.actor
            actor_of[identity] = truth.actor
            counts["fragmentations"] += identity_of.setdefault(truth.actor, identity) != identity
            identity_of[truth.actor] = identity
            total += distances[best]
            matched += 1
        counts["false_positives"] += len(unmatched)
    return {**counts, "nme": 100 * total / matched if matched else float("nan")}
