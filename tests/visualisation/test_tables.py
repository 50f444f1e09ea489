"""Markdown tables: what GitHub shows of them."""

from senet_landmark.visualisation.tables import markdown_table


def test_words_are_to_the_left_and_figures_to_the_right():
    lines = markdown_table(["model", "ms"], [["senet", "1.50"], ["", "–"]], texts=1).splitlines()
    assert len({len(line) for line in lines}) == 1  # it reads well as plain text, too
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert cells[0] == ["model", "ms"] and cells[2:] == [["senet", "1.50"], ["", "–"]]
    left, right = cells[1]
    assert left.startswith(":-") and left.endswith("-")
    assert right.startswith("-") and right.endswith("-:")


def test_what_would_end_a_cell_or_a_line_is_escaped():
    text = markdown_table(["a|b"], [["1\n2 | 3"]])
    assert text.splitlines()[0].strip("| ") == r"a\|b"
    assert text.splitlines()[2].strip("| ") == r"1 2 \| 3"
    assert text.endswith("|\n") and text.count("\n") == 3
