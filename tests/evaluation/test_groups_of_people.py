"""`groups_of_people.py` of the benchmarks: means and ratios, by the first word of the subset."""

import sys

import numpy as np
import pytest

import groups_of_people
from senet_landmark.errors import InputError

ROWS = (
    *(f"m,a{i}.jpg,white female,{error}" for i, error in enumerate((1.8, 2.0, 2.2, 2.0))),
    *(f"m,b{i}.jpg,black male,{error}" for i, error in enumerate((2.9, 3.1))),
    "m,c.jpg,east_asian female,1.5",
    "m,missed.jpg,black female,",
)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "faces.csv"
    path.write_text("\n".join(["model,face,subset,nme_inter_ocular", *ROWS]) + "\n")
    return path


def test_groups_and_their_ratio(table, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["groups_of_people.py", str(table)])
    groups_of_people.main()
    rows = {line.split(" | ")[1]: line for line in capsys.readouterr().out.splitlines()[2:]}
    assert list(rows) == ["black", "east_asian", "white"]
    assert "| 2 | 3.00 (2.90 to 3.10) | 1.50 (" in rows["black"]
    assert "| 1 | 1.50 |" in rows["east_asian"]
    assert "| 4 | 2.00 (1.85 to 2.15) |" in rows["white"]


def test_ratio_lies_within_its_interval():
    generator = np.random.default_rng(2)
    above, below = generator.normal(2.4, 0.4, 40), generator.normal(2.0, 0.4, 40)
    factor, low, high = groups_of_people.ratio(above, below)
    assert low < factor < high and 1.05 < factor < 1.35 and high - low < 0.3


def test_table_without_errors(table):
    table.write_text("model,face,subset,nme_inter_ocular\nm,a.jpg,white,\n")
    with pytest.raises(InputError, match="has no face with nme_inter_ocular"):
        groups_of_people.errors_by_group(table)
