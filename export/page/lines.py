"""Lines through the landmarks of a scheme, for drawing faces."""


def _open(first: int, last: int) -> tuple[int, ...]:
    return tuple(range(first, last + 1))


def _closed(first: int, last: int) -> tuple[int, ...]:
    return (*range(first, last + 1), first)


LINES: dict[str, tuple[tuple[int, ...], ...]] = {
    "300w_68": (
        _open(0, 16),  # jaw
        *(_open(17, 21), _open(22, 26)),  # brows
        *(_open(27, 30), _open(31, 35)),  # bridge and base of the nose
        *(_closed(36, 41), _closed(42, 47)),  # eyes
        *(_closed(48, 59), _closed(60, 67)),  # outer and inner edge of the lips
    ),
    "wflw_98": (
        _open(0, 32),
        *(_closed(33, 41), _closed(42, 50)),
        *(_open(51, 54), _open(55, 59)),
        *(_closed(60, 67), _closed(68, 75)),
        *(_closed(76, 87), _closed(88, 95)),
    ),
    "jd_106": (
        _open(0, 32),
        *(_closed(33, 41), _closed(42, 50)),
        *(_open(51, 54), _open(55, 65)),
        *(_closed(66, 73), _closed(75, 82)),
        *(_closed(84, 95), _closed(96, 103)),
    ),
}
"""Scheme -> lines, each as the indices of its points in order; a closed line ends at its first
point. Schemes with fewer points have no lines."""
