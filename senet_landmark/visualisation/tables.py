"""Tables in Markdown."""

from collections.abc import Sequence

from tabulate import tabulate


def markdown_table(
    titles: Sequence[str], rows: Sequence[Sequence[str]], texts: int | None = None
) -> str:
    """A table as GitHub's Markdown has it, with a newline at its end.

    Args:
      titles: of the columns.
      rows: the cells of each line, as many as `titles`; a `|` in them is escaped, and what breaks a
        line becomes a space.
      texts: how many of the first columns are words, to the left; the others are figures, to the
        right. None: all are words.
    """
    count = len(titles) if texts is None else texts
    sides = ["left"] * count + ["right"] * (len(titles) - count)
    lines = [[_cell(text) for text in row] for row in (titles, *rows)]
    table = tabulate(lines[1:], lines[0], tablefmt="pipe", colalign=sides, disable_numparse=True)
    return table + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
