"""`benchmarks/shipped/card.py`: tables that are written anew, and the card as it stands."""

import numpy as np
import pytest

import card

TEXT = """# One

| a | b |
|---|---|
| x | 1 |
| | 2 |

# Two

| c | d |
|---|---|
| y | 3 |

End
"""


def test_rows_of_one_table_change():
    changed = card.change_rows(TEXT, "| a | b", lambda cells: [cells[0], f"{cells[1]}0"])
    assert "| x | 10 |\n| | 20 |\n\n# Two" in changed
    assert changed.replace("| x | 10 |\n| | 20 |", "| x | 1 |\n| | 2 |") == TEXT
    with pytest.raises(ValueError, match="0 tables"):
        card.change_rows(TEXT, "| e |", lambda cells: cells)
    with pytest.raises(ValueError, match="2 tables"):
        card.change_rows(TEXT + TEXT, "| a |", lambda cells: cells)


def test_errors_as_the_tables_have_them():
    figures = {
        "nme_inter_ocular": 3.1672,
        "missed_faces": 5,
        "interval_95": {"nme_inter_ocular": [3.0701, 3.2699]},
    }
    assert card.error(figures) == "3.17% (3.07 to 3.27), 5 missed"
    assert card.error({"nme_inter_ocular": 9.641, "interval_95": None}) == "9.64%"


@pytest.mark.parametrize("model", card.MODELS)
def test_section_of_a_model(model):
    """Only its own table, and every row of it."""
    text = card.CARD.read_text(encoding="utf-8")
    part = {"nme_inter_ocular": 1.234, "interval_95": [1.0, 1.5], "n": 7}

    class Any(dict):
        def __missing__(self, key):
            return part

        def get(self, key, default=None):
            return part

    whole = {
        **part,
        "interval_95": {"nme_inter_ocular": [1.0, 1.5]},
        "missed_faces": 0,
        "by_yaw": Any(),
        "by_attribute": {name: Any() for name in ("gender", "smile", "glasses", "head_pose")},
    }
    figures = {(model, boxes): whole for boxes in ("landmarks", "dlib")}
    sets = {"300w": figures, "ytf": figures, "mtfl": {(model, "landmarks"): whole}}
    changed = card.section_of(text, model, sets)
    lines = list(zip(text.split("\n"), changed.split("\n"), strict=True))
    where = [number for number, (old, new) in enumerate(lines) if old != new]
    differing = [lines[number] for number in where]
    start = text[: text.index(f"\n# {model}\n")].count("\n")
    assert len(differing) >= 7 and start < min(where) and max(where) - start < 40
    assert all(new.count("1.23% (1.00 to 1.50)") in (1, 2) for _, new in differing)
    assert all(old.split("|")[1:3] == new.split("|")[1:3] for old, new in differing)


def test_groups_of_the_people_in_the_card():
    rows = card.CARD.read_text(encoding="utf-8").split("| group | n |")[1].split("\n\n")[0]
    names = [row.split("|")[1].strip() for row in rows.split("\n")[2:]]
    assert names == list(card.GROUPS.values())
    assert np.all([name in card.CARD.read_text(encoding="utf-8") for name in card.MODELS])
