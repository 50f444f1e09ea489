"""Splits faces into training, held-out and test faces, by identity or source photo."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from senet_landmark.data_tools.datasets.samples import Entry

TEST = "test"
"""Name of the split that is used neither for training nor for validation."""


@dataclass(frozen=True)
class Split:
    """The result of splitting.

    Attributes:
      sides: name of a split -> its entries, shuffled.
      leaking: entries that are left out because their identity is in the published test part.
    """

    sides: dict[str, list[Entry]]
    leaking: list[Entry]


def split_entries(
    entries: Iterable[Entry],
    held_out: float,
    *,
    test: float = 0.0,
    held_out_name: str = "validation",
    by: str = "source",
    seed: int = 0,
) -> Split:
    """Splits the faces at random, and shuffles each split.

    All faces that a data set publishes for testing go to the split `test`. Other faces that share
    an identity with them are left out. The rest is split into training, held-out and, if `test` is
    above 0, test faces.

    Args:
      entries: all faces.
      held_out: share of identities (by="source") or of faces (by="view") that is held out; at
        least one, if there are two or more.
      test: share that goes to the split `test`, counted in the same way.
      held_out_name: name of the held-out split.
      by: "source" keeps the views of one photo, or the photos of one person, together; "view"
        does not, like the original project; "published" does not either, and takes the part of the
        data set called `test` for testing, even where its reader does not count it as such because
        it shares its persons.
      seed: seed of the choice and of the order. The result does not depend on the entries' order.
    """
    entries = sorted(entries, key=lambda e: e.source)
    generator = np.random.default_rng(seed)
    published = [e for e in entries if e.test or (by == "published" and e.subset == TEST)]
    tested = {id(e) for e in published}
    reserved = {e.identity for e in published} if by == "source" else set()
    leaking = [e for e in entries if id(e) not in tested and e.identity in reserved]
    rest = [e for e in entries if id(e) not in tested and e.identity not in reserved]
    keys = [e.identity if by == "source" else e.source for e in rest]
    unique = sorted(set(keys))
    order = [unique[i] for i in generator.permutation(len(unique))]
    chosen: dict[str, str] = {}
    for name, share in ((held_out_name, held_out), (TEST, test)):
        room = len(order) - len(chosen) - 1
        count = min(max(round(share * len(unique)), 1), room) if share else 0
        first = len(chosen)
        chosen |= dict.fromkeys(order[first : first + max(count, 0)], name)
    sides: dict[str, list[Entry]] = {name: [] for name in ("train", held_out_name, TEST)}
    for index in generator.permutation(len(rest)):
        sides[chosen.get(keys[index], "train")].append(rest[index])
    sides[TEST] += [published[i] for i in generator.permutation(len(published))]
    return Split(sides, leaking)
