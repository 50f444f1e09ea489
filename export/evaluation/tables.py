"""The tables of an evaluation's page, as rows of texts for its template."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from senet_landmark.evaluation.measuring import Measured
from senet_landmark.evaluation.metrics import NORMALISERS
from senet_landmark.evaluation.statistics import LIMITS
from senet_landmark.face.schemes import Scheme

LOW = (*(f"nme_{kind}" for kind in NORMALISERS), *(f"failure_rate_{x:.2f}" for x in LIMITS))
HIGH = tuple(f"auc_{x:.2f}" for x in LIMITS)


def labels_of(results: Sequence[Measured]) -> list[str]:
    """The models' names; files of one name in different folders are numbered."""
    seen: Counter[tuple[str, str]] = Counter()
    labels = []
    for result in results:
        seen[result.name, result.boxes] += 1
        number = seen[result.name, result.boxes]
        labels.append(f"{result.name} ({number})" if number > 1 else result.name)
    return labels


def summary(
    results: Sequence[Measured],
    figures: Sequence[dict[str, Any]],
    labels: list[str],
    scheme: Scheme,
) -> list[dict[str, Any]]:
    """The rows of the summary. The best are those of the same boxes and the same landmarks."""
    rows = []
    for result, own, label in zip(results, figures, labels, strict=True):
        rivals = [
            other
            for rival, other in zip(results, figures, strict=True)
            if (rival.boxes, rival.points) == (result.boxes, result.points)
        ]
        cells = []
        for key in (*LOW[: len(NORMALISERS)], *HIGH, *LOW[len(NORMALISERS) :]):
            choose = max if key in HIGH else min
            # As printed: what looks equal is equal.
            best = choose(round(rival[key], 2) for rival in rivals)
            cells.append(
                {
                    "value": f"{own[key]:.2f}",
                    "interval": _interval(own["interval_95"][key]),
                    "best": len(rivals) > 1 and round(own[key], 2) == best,
                }
            )
        rows.append(
            {
                "label": label,
                "boxes": result.boxes,
                "points": f"{len(result.points)} of {scheme.points} landmarks",
                "n": own["n"],
                "missed": own["missed_faces"],
                "cells": cells,
            }
        )
    return rows


def _interval(ends: Sequence[float] | None) -> str:
    return "" if ends is None else f"{ends[0]:.2f}–{ends[1]:.2f}"


def absent(
    results: Sequence[Measured], labels: Sequence[str], scheme: Scheme
) -> list[tuple[str, str]]:
    """Model -> the landmarks that it does not predict, of the models that lack some."""
    found = {}
    for result, label in zip(results, labels, strict=True):
        lacking = sorted(set(range(scheme.points)) - set(result.points))
        if lacking:
            whole = [g for g, p in scheme.groups.items() if set(p) <= set(lacking)]
            named = f" ({', '.join(whole)})" if whole else ""
            found[label] = f"{_ranges(lacking)}{named}"
    return list(found.items())


def _ranges(numbers: Sequence[int]) -> str:
    """`0–16, 20` of ascending numbers."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def by_group(figures: Sequence[dict[str, Any]], labels: Sequence[str]) -> dict[str, Any]:
    """The table of facial parts: their names, and rows with the error of each."""
    names = list(figures[0]["by_group"])
    rows = [
        {
            "label": label,
            "boxes": own["boxes"],
            "cells": [_number(own["by_group"][name]) for name in names],
        }
        for own, label in zip(figures, labels, strict=True)
    ]
    return {"names": names, "rows": rows}


def by_part(figures: Sequence[dict[str, Any]], labels: Sequence[str]) -> list[dict[str, Any]]:
    """The tables by subset, yaw and each attribute: those that exist."""
    attributes = dict.fromkeys(name for own in figures for name in own["by_attribute"])
    tables = [("subset", "subset", [own["by_subset"] for own in figures])]
    tables += [("yaw", "yaw", [own["by_yaw"] for own in figures])]
    tables += [
        (f"attribute-{number}", name, [own["by_attribute"].get(name, {}) for own in figures])
        for number, name in enumerate(attributes)
    ]
    found = []
    for key, title, tables_of in tables:
        # A detector may have missed all faces of a class.
        names = sorted({name for table in tables_of for name in table})
        rows = [
            {
                "label": label,
                "boxes": own["boxes"],
                "cells": [_part(table.get(name)) for name in names],
            }
            for own, label, table in zip(figures, labels, tables_of, strict=True)
        ]
        if names:
            found.append({"id": key, "title": title, "names": names, "rows": rows})
    return found


def further(figures: Sequence[dict[str, Any]], labels: Sequence[str]) -> list[dict[str, Any]]:
    """The tables of pose and attributes, of the models that predict them: those that exist."""
    found = []
    for key, title in (("pose_mae", "Pose"), ("attribute_accuracy", "Attributes")):
        able = [(own, label) for own, label in zip(figures, labels, strict=True) if key in own]
        names = list(dict.fromkeys(name for own, _ in able for name in own[key]))
        rows = [
            {
                "label": label,
                "boxes": own["boxes"],
                "cells": [_number(own[key].get(name)) for name in names],
            }
            for own, label in able
        ]
        if rows:
            found.append({"id": key, "title": title, "names": names, "rows": rows})
    return found


def _part(part: dict[str, Any] | None) -> dict[str, str] | None:
    if part is None or not part["n"]:
        return None
    return {
        "value": _number(part["nme_inter_ocular"]),
        "interval": _interval(part["interval_95"]),
        "size": _number(part["nme_bbox_size"]),
        "n": f"{part['n']:,}",
    }


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
