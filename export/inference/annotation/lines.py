"""What the annotation files share: passes over the lines, and JSON in pieces."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

Lines = Callable[[], Iterable[Mapping[str, Any]]]
"""() -> `photo_json` of each photo; called for each pass over them."""


def is_inside(point: Iterable[float], line: Mapping[str, Any]) -> bool:
    """Whether a point (x, y), in 0-based pixels, lies on the photo of a line."""
    sides = (line["width"], line["height"])
    return all(-0.5 <= value <= side - 0.5 for value, side in zip(point, sides, strict=True))


def score_of(face: Mapping[str, Any]) -> float | None:
    """The confidence of a face in JSON, 0 to 1; else its detector's score; None without both."""
    return face.get("confidence", face.get("score"))


def as_json(value: Any) -> str:
    """A value on one line."""
    return json.dumps(value, ensure_ascii=False)


def json_items(items: Iterable[Any]) -> Iterator[str]:
    """The items of a JSON list, one a line, without its brackets."""
    before = "\n"
    for item in items:
        yield before + as_json(item)
        before = ",\n"
