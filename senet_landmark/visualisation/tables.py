"""Tables in Markdown."""

from collections.abc import Sequence

from tabulate import tabulate


def markdown_table(
    titles: Sequence[str], rows: Sequence[Sequence[str]], texts: int | None = None
) -> str:
    """A table in GitHub's Markdown, with a newline at its end.

    Args:
      titles: titles of the columns.
      rows: the cells of each row, as many as `titles`; a `|` in them is escaped, and line breaks
        become spaces.
      texts: how many of the first columns hold words and are aligned left; the others hold numbers
        and are aligned right. None: all hold words.
    """
    count = len(titles) if texts is None else texts
    sides = ["left"] * count + ["right"] * (len(titles) - count)
    lines = [[_cell(text) for text in row] for row in (titles, *rows)]
    table = tabulate(lines[1:], lines[0], tablefmt="pipe", colalign=sides, disable_numparse=True)
    return table + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
