"""Lines through the landmarks of a scheme, for pictures of faces."""


def _through(first: int, last: int) -> tuple[int, ...]:
    return tuple(range(first, last + 1))


def _around(first: int, last: int) -> tuple[int, ...]:
    return (*range(first, last + 1), first)


LINES: dict[str, tuple[tuple[int, ...], ...]] = {
    "300w_68": (
        _through(0, 16),  # jaw
        *(_through(17, 21), _through(22, 26)),  # brows
        *(_through(27, 30), _through(31, 35)),  # bridge and base of the nose
        *(_around(36, 41), _around(42, 47)),  # eyes
        *(_around(48, 59), _around(60, 67)),  # outer and inner edge of the lips
    ),
    "wflw_98": (
        _through(0, 32),
        *(_around(33, 41), _around(42, 50)),
        *(_through(51, 54), _through(55, 59)),
        *(_around(60, 67), _around(68, 75)),
        *(_around(76, 87), _around(88, 95)),
    ),
    "jd_106": (
        _through(0, 32),
        *(_around(33, 41), _around(42, 50)),
        *(_through(51, 54), _through(55, 65)),
        *(_around(66, 73), _around(75, 82)),
        *(_around(84, 95), _around(96, 103)),
    ),
}
"""Scheme -> lines, each as the indices of its points in order; a closed one ends where it began.
Schemes of fewer points have none."""
