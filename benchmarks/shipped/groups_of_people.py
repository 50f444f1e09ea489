"""Errors by group of people, from the `faces.csv` of an evaluation.

senet-landmark evaluate --model senet-68 --on csv=london --boxes landmarks --out results-london
python benchmarks/shipped/groups_of_people.py results-london/csv/faces.csv

A group is what the subset begins with: `white female` and `white male` are `white`. Two groups are
compared by the ratio of their means, with its 95% bootstrap interval over the faces of each.
"""

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy import stats

from senet_landmark.errors import InputError
from senet_landmark.evaluation.statistics import bootstrap_interval

ERROR = "nme_inter_ocular"


def errors_by_group(table: Path) -> dict[str, dict[str, np.ndarray]]:
    """Model -> group -> NME of its faces by the eye corners, in %; missed faces are left out.

    Raises:
      InputError: the table has no measured face.
    """
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row[ERROR]:
                group = row["subset"].split(" ")[0] or "unknown"
                found[row["model"]][group].append(float(row[ERROR]))
    if not found:
        raise InputError(f"{table}: has no face with {ERROR}.")
    return {m: {g: np.array(e) for g, e in groups.items()} for m, groups in found.items()}


def ratio(above: np.ndarray, below: np.ndarray) -> tuple[float, float, float]:
    """Mean of `above` over the mean of `below`, and the ends of its 95% bootstrap interval."""
    interval = stats.bootstrap(
        (above, below),
        lambda a, b, axis: np.mean(a, axis=axis) / np.mean(b, axis=axis),
        n_resamples=2000,
        method="percentile",
        random_state=np.random.default_rng(0),
    ).confidence_interval
    return float(above.mean() / below.mean()), float(interval.low), float(interval.high)


def main() -> None:
    """Prints a row for each group, and the ratio to the group that is compared with."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path, help="faces.csv of an evaluation")
    parser.add_argument("--beside", default="white", help="the group that others are compared with")
    options = parser.parse_args()
    print(f"| model | group | n | NME, % | over {options.beside} |\n|---|---|---:|---|---|")
    for model, groups in errors_by_group(options.table).items():
        for group, errors in sorted(groups.items()):
            interval, compared = bootstrap_interval(errors), ""
            if group != options.beside and options.beside in groups and interval:
                factor = ratio(errors, groups[options.beside])
                compared = "{:.2f} ({:.2f} to {:.2f})".format(*factor)
            mean = f"{errors.mean():.2f}"
            if interval:  # of a single face there is none
                mean += f" ({interval[0]:.2f} to {interval[1]:.2f})"
            print(f"| `{model}` | {group} | {len(errors)} | {mean} | {compared} |")


if __name__ == "__main__":
    main()
