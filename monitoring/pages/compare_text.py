"""A comparison of arms as text, for terminals."""

from __future__ import annotations

from monitoring.pages.digits import NOTHING, shown
from monitoring.runs import Document
from monitoring.table import laid_out


def table(document: Document, width: int) -> str:
    """A column for each arm: means over its seeds, and differences to the first with their intervals.

    Args:
        document: The comparison's.
        width: Columns of the terminal.
    """
    arms = document["arms"]
    figures = document["figures"]
    names = ["seeds"] + [_named(figure) for figure in figures]
    cells = [[str(len(arm["seeds"])) for arm in arms]]
    cells += [[shown(arm["means"][figure["name"]]) for arm in arms] for figure in figures]
    for figure in figures[:2]:
        found = [each["figures"][figure["name"]] for each in document["comparisons"]]
        names += [f"{figure['name']} minus A", "  95 % from", "  to"]
        cells.append(["", *(shown(each["mean"], sign=True) if each else NOTHING for each in found)])
        for end in ("low", "high"):
            cells.append(["", *(shown(each[end], sign=True) if each else NOTHING for each in found)])
    titles = [f"{arm['name']}  {arm['folders'][0]}{' ...' if len(arm['folders']) > 1 else ''}" for arm in arms]
    return laid_out(titles, names, cells, document["notes"], width)


def _named(figure: Document) -> str:
    return f"{figure['name']} [{figure['unit']}]" if figure["unit"] else str(figure["name"])
