"""Training and held-out faces, apart by identity or source photo."""

import numpy as np

from data_tools.samples import Entry


def split_entries(
    entries: list[Entry], held_out: float, *, by: str = "source", seed: int = 0
) -> tuple[list[Entry], list[Entry]]:
    """Splits at random, and shuffles each side.

    Args:
      entries: all faces.
      held_out: share of identities (by="source") or of faces (by="view") that is held out; at
        least one, where there are two.
      by: "source" keeps the views of one photo together; "view" does not, as the original did.
      seed: seed of the choice and of the order. The result does not depend on the entries' order.

    Returns:
      Training entries and held-out entries.
    """
    entries = sorted(entries, key=lambda e: e.source)
    generator = np.random.default_rng(seed)
    keys = [e.identity if by == "source" else e.source for e in entries]
    unique = sorted(set(keys))
    count = round(held_out * len(unique))
    count = min(max(count, 1), len(unique) - 1) if held_out else 0
    chosen = {unique[i] for i in generator.permutation(len(unique))[:count]}
    sides: tuple[list[Entry], list[Entry]] = ([], [])
    for index in generator.permutation(len(entries)):
        sides[keys[index] in chosen].append(entries[index])
    return sides
