"""The tables of the evaluation page, as rows of texts for its template."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from senet_landmark.evaluation.measuring import Measured
from senet_landmark.evaluation.metrics import NORMALISERS, Kind
from senet_landmark.evaluation.statistics import LIMITS, SQUARED
from senet_landmark.export.evaluation.paired import FIGURES
from senet_landmark.face.schemes import Scheme

HIGHER_IS_BETTER = tuple(f"auc_{x:.2f}" for x in LIMITS)
SUMMARY = (
    *(f"nme_{kind}" for kind in NORMALISERS),
    *HIGHER_IS_BETTER,
    *(f"failure_rate_{x:.2f}" for x in LIMITS),
    *SQUARED,
)
"""The figures of the summary, in the order of its columns."""

TITLES: dict[Kind, str] = {
    "inter_ocular": "inter-ocular",
    "inter_pupil": "inter-pupil",
    "bbox_diagonal": "box diagonal",
    "bbox_size": "box size",
}
"""Normaliser -> its name in texts."""


def percent(value: float | None) -> str:
    """A figure in percent as text; `–` for one that no face has."""
    return "–" if value is None else f"{value:.2f}%"


def squared(figures: dict[str, Any]) -> list[str]:
    """The squared errors (`statistics.SQUARED`) as texts with their intervals.

    Args:
      figures: those of one model, as `metrics_of` returns them.
    """
    texts = []
    for key in SQUARED:
        ends = figures["interval_95"][key]
        within = "" if ends is None else " ({} to {})".format(*(_number(end, key) for end in ends))
        texts.append(_number(figures[key], key) + within)
    return texts


DIFFERENCE_TITLES = (
    "n",
    "landmarks",
    "NME, points",
    "NME by the box's size, points",
    "MSE, photo pixels²",
    "sum of squared distances",
)
"""Titles of `differences`."""


def differences(beside: dict[str, Any]) -> list[str]:
    """The differences of `paired.beside_first` as texts with their intervals and a sign."""
    texts = [f"{beside['n']:,}", str(beside["landmarks"])]
    for key in FIGURES:
        if key not in beside["difference"]:
            texts.append("–")
            continue
        digits = 4 if key == "squared_distance_sum" else 2
        values = (beside["difference"][key], *beside["interval_95"][key])
        texts.append("{} ({} to {})".format(*(f"{value:+.{digits}f}" for value in values)))
    return texts


def beside_first(figures: Sequence[dict[str, Any]], labels: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of the models beside the first one; none with one model."""
    return [
        {
            "label": label,
            "boxes": entry["boxes"],
            "cells": differences(entry["beside_first"]),
        }
        for entry, label in zip(figures, labels, strict=True)
        if entry["beside_first"]
    ]


def about_partial(figures: dict[str, Any]) -> str:
    """What was measured on faces with unknown landmarks; empty where all are known.

    Args:
      figures: those of one model, as `metrics_of` returns them.
    """
    n, partial = figures["n"], figures["partial_faces"]
    texts = []
    if partial:
        each = figures["landmarks_measured"] / n
        texts.append(
            f"Partly annotated faces: {partial:,} of {n:,}; measured on their known landmarks, "
            f"{each:.4g} of {len(figures['by_landmark'])} a face on average, and in their box."
        )
    texts += [
        f"{TITLES[kind].capitalize()} NME: of {count:,} of {n:,} faces; "
        "the known landmarks of the others do not give its length."
        if count
        else f"No {TITLES[kind]} NME: the known landmarks do not give its length."
        for kind, count in figures["faces_by_normaliser"].items()
        if count < n
    ]
    if figures["unmeasured"]:
        texts.append(
            f"Not measured: {len(figures['unmeasured']):,} faces, of which no known landmark is "
            "one that the model predicts."
        )
    return " ".join(texts)


def labels_of(results: Sequence[Measured]) -> list[str]:
    """The models' names; files with the same name in different folders get numbers."""
    counts: Counter[tuple[str, str]] = Counter()
    labels = []
    for result in results:
        counts[result.name, result.boxes] += 1
        number = counts[result.name, result.boxes]
        labels.append(f"{result.name} ({number})" if number > 1 else result.name)
    return labels


def summary(
    results: Sequence[Measured],
    figures: Sequence[dict[str, Any]],
    labels: list[str],
    scheme: Scheme,
) -> list[dict[str, Any]]:
    """The rows of the summary. The best is chosen among equal boxes and equal landmarks."""
    rows = []
    for result, entry, label in zip(results, figures, labels, strict=True):
        rivals = [
            other
            for rival, other in zip(results, figures, strict=True)
            if (rival.boxes, rival.points) == (result.boxes, result.points)
        ]
        cells = []
        for key in SUMMARY:
            choose = max if key in HIGHER_IS_BETTER else min
            # Compared as printed: figures that look equal are equal.
            values = [_number(rival[key], key) for rival in rivals if rival[key] is not None]
            value = _number(entry[key], key)
            cells.append(
                {
                    "value": value,
                    "interval": _interval(entry["interval_95"][key], key),
                    "best": len(values) > 1 and value == choose(values, key=float),
                }
            )
        rows.append(
            {
                "label": label,
                "boxes": result.boxes,
                "points": f"{len(result.points)} of {scheme.points} landmarks",
                "n": entry["n"],
                "missed": entry["missed_faces"],
                "cells": cells,
            }
        )
    return rows


def _interval(ends: Sequence[float] | None, key: str = "") -> str:
    return "" if ends is None else "–".join(_number(end, key) for end in ends)


def absent(
    results: Sequence[Measured], labels: Sequence[str], scheme: Scheme
) -> list[tuple[str, str]]:
    """(model, the landmarks that it does not predict), for the models that lack some."""
    missing = {}
    for result, label in zip(results, labels, strict=True):
        indices = sorted(set(range(scheme.points)) - set(result.points))
        if indices:
            whole = [g for g, p in scheme.groups.items() if set(p) <= set(indices)]
            named = f" ({', '.join(whole)})" if whole else ""
            missing[label] = f"{_ranges(indices)}{named}"
    return list(missing.items())


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
            "boxes": entry["boxes"],
            "cells": [_number(entry["by_group"][name]) for name in names],
        }
        for entry, label in zip(figures, labels, strict=True)
    ]
    return {"names": names, "rows": rows}


def by_part(figures: Sequence[dict[str, Any]], labels: Sequence[str]) -> list[dict[str, Any]]:
    """The tables by subset, by yaw and by each attribute that the faces have."""
    attributes = dict.fromkeys(name for entry in figures for name in entry["by_attribute"])
    tables = [("subset", "subset", [entry["by_subset"] for entry in figures])]
    tables += [("yaw", "yaw", [entry["by_yaw"] for entry in figures])]
    tables += [
        (
            f"attribute-{number}",
            name,
            [entry["by_attribute"].get(name, {}) for entry in figures],
        )
        for number, name in enumerate(attributes)
    ]
    page_tables = []
    for key, title, tables_of in tables:
        # With one model all faces of a class may be missed, so the names are those of all models.
        names = sorted({name for table in tables_of for name in table})
        rows = [
            {
                "label": label,
                "boxes": entry["boxes"],
                "cells": [_part(table.get(name)) for name in names],
            }
            for entry, label, table in zip(figures, labels, tables_of, strict=True)
        ]
        if names:
            page_tables.append({"id": key, "title": title, "names": names, "rows": rows})
    return page_tables


def auxiliary(figures: Sequence[dict[str, Any]], labels: Sequence[str]) -> list[dict[str, Any]]:
    """The tables of depth, pose and attributes, for the models that predict these."""
    page_tables = []
    titles = {"depth_error": "Depth", "pose_mae": "Pose", "attribute_accuracy": "Attributes"}
    for key, title in titles.items():
        predicting = [
            (entry, label) for entry, label in zip(figures, labels, strict=True) if key in entry
        ]
        names = list(dict.fromkeys(name for entry, _ in predicting for name in entry[key]))
        rows = [
            {
                "label": label,
                "boxes": entry["boxes"],
                "cells": [_with_interval(entry, key, name) for name in names],
            }
            for entry, label in predicting
        ]
        if rows:
            page_tables.append({"id": key, "title": title, "names": names, "rows": rows})
    return page_tables


def _with_interval(entry: dict[str, Any], key: str, name: str) -> str:
    """The figure `name` of an auxiliary task, with its interval where it has one."""
    ends = _interval(entry["interval_95"].get(name) if key == "depth_error" else None)
    number = _number(entry[key].get(name))
    return f"{number} ({ends})" if ends else number


def _part(part: dict[str, Any] | None) -> dict[str, str] | None:
    if part is None or not part["n"]:
        return None
    return {
        "value": _number(part["nme_inter_ocular"]),
        "interval": _interval(part["interval_95"]),
        "size": _number(part["nme_bbox_size"]),
        "auc": _number(part["auc_0.10"]),
        "failures": _number(part["failure_rate_0.10"]),
        "n": f"{part['n']:,}",
    }


def _number(value: float | None, key: str = "") -> str:
    digits = 4 if key == "squared_distance_sum" else 2
    return "–" if value is None else f"{value:.{digits}f}"
