"""The page of runs side by side, from its document."""

from __future__ import annotations

from typing import Final

from monitoring.pages import lines
from monitoring.pages.axes import FULL, colour_of
from monitoring.pages.compare_facts import sentences
from monitoring.pages.difference_table import INTERVALS, difference_row, difference_table, in_unit
from monitoring.pages.digits import MINUS, NOTHING, shown
from monitoring.pages.forest import Difference, forest, scatter
from monitoring.pages.lines import Line
from monitoring.pages.markup import Child, Markup, tag
from monitoring.pages.ran import agents_table, footer, note_list
from monitoring.pages.run_charts import span
from monitoring.pages.style import details, page, section, table
from monitoring.runs import Document

RENTAL: Final = "rental"


def render(document: Document) -> str:
    """The page as HTML."""
    equal = document["equal"]
    return page(
        f"{equal['scenario']}: {' against '.join(arm['name'] for arm in document['arms'])}",
        _header(document),
        note_list(document["notes"]),
        section("Differences", *_differences(document)),
        section("Over time", _timeline(document)),
        section("Arm by arm", _arms(document), tag("div", *_costs(document), class_="two")),
        section("Seed by seed", *_seeds(document)),
        section("What was compared", *_compared(document)),
        footer(),
    )


def _header(document: Document) -> Markup:
    equal = document["equal"]
    seeds = sorted({seed for comparison in document["comparisons"] for seed in comparison["seeds"]})
    parts = [equal["scenario"], f"{equal['slots']:,} slots", f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''}"]
    over = tag("p", " \u00b7 ".join(map(str, parts)), class_="over")
    first, *rest = sentences(document)
    return tag("header", over, tag("h1", first), [tag("p", each) for each in rest])


def _differences(document: Document) -> list[Child]:
    figures = document["figures"]
    drawn: list[Child] = []
    for figure in figures[:2]:
        rows = [
            Difference(each["arm"], found["mean"], found["low"], found["high"], found["differences"])
            for each in document["comparisons"]
            if (found := each["figures"][figure["name"]]) is not None
        ]
        unit = f" [{figure['unit']}]" if figure["unit"] else ""
        said = "; ".join(f"{row.name} {shown(row.mean, sign=True)}" for row in rows)
        drawn.append(
            forest(
                f"Difference of {figure['words']} to {document['baseline']}; a pale dot is a seed.",
                f"Difference of {figure['words']}: {said}.",
                rows,
                f"difference{unit}",
                figure["better"],
            )
        )
    return [
        tag("div", *drawn, class_="two"),
        *(_difference_table(document, each) for each in document["comparisons"]),
        tag("p", INTERVALS, class_="quiet"),
    ]


def _difference_table(document: Document, comparison: Document) -> Markup:
    rows = [
        difference_row(figure["words"], found, figure)
        for figure in document["figures"]
        if (found := comparison["figures"][figure["name"]]) is not None
    ]
    arms = document["baseline"], comparison["arm"]
    return difference_table(f"{comparison['arm']} minus {document['baseline']}", arms, rows)


def _timeline(document: Document) -> Markup | None:
    rental = document["world"] == RENTAL
    name, label, words = (
        ("reward", "reward", "Reward of a slot") if rental else ("delay_s", "s per task", "Delay of a task")
    )
    drawn = []
    for k, arm in enumerate(document["arms"]):
        column = arm["series"].get(name)
        if column is None:
            continue
        many = len(arm["seeds"]) > 1
        low, high = (column["low"], column["high"]) if many else ((), ())
        style = ("", "dash", "dot")[k // 7 % 3]
        drawn.append(Line(arm["name"], arm["series"]["slot"], column["mean"], colour_of(k), style, low=low, high=high))
    if not drawn:
        return None
    arm = document["arms"][0]
    each = arm["series"]["slots_a_point"]
    point = "" if each == 1 else f", mean of {each} slots"
    seeds = "; the mean over seeds, and between which values they lie" if any(line.low for line in drawn) else ""
    said = "; ".join(f"{line.name} between {span(line.y)}" for line in drawn)
    return lines.line_chart(f"{words}{point}{seeds}.", f"{words}: {said}.", drawn, "slot", label, width=FULL)


def _arms(document: Document) -> Markup:
    """A column for each arm."""
    arms = document["arms"]
    rows: list[list[Child]] = [
        [figure["words"], *(in_unit(arm["means"][figure["name"]], figure["unit"]) for arm in arms)]
        for figure in document["figures"]
        if any(arm["means"][figure["name"]] is not None for arm in arms)
    ]
    rows.append(["seeds", *(str(len(arm["seeds"])) for arm in arms)])
    return table(["mean over seeds", *(arm["name"] for arm in arms)], rows, numbers=len(arms))


def _costs(document: Document) -> list[Child]:
    """What a reward costs, in messages and in time: up and to the left is better."""
    return [
        _against(
            document, "decision_bytes", 1.0, "message bytes of a decision", "bytes on the wire, one edge server's"
        ),
        _against(document, "decision_time", 1e3, "decision time", "ms, p50"),
    ]


def _against(document: Document, name: str, scale: float, words: str, label: str) -> Markup | None:
    arms = []
    for arm in document["arms"]:
        costs, rewards = arm["values"][name], arm["values"]["reward"]
        both = [seed for seed in costs if costs[seed] is not None and rewards[seed] is not None]
        arms.append((arm["name"], [(scale * costs[seed], rewards[seed]) for seed in both]))
    said = "; ".join(
        f"{name} {span([y for _, y in points])} for {span([x for x, _ in points])}" for name, points in arms if points
    )
    return scatter(
        f"Reward against {words}; up and to the left is better.",
        f"Reward against {words}: {said}.",
        arms,
        label,
        "reward",
    )


def _seeds(document: Document) -> list[Child]:
    figure = document["figures"][0]
    unit = f" [{figure['unit']}]" if figure["unit"] else ""
    seeds = sorted({int(seed) for arm in document["arms"] for seed in arm["values"][figure["name"]]})
    rows: list[list[Child]] = []
    for seed in seeds:
        row: list[Child] = [str(seed)]
        for arm in document["arms"]:
            value = arm["values"][figure["name"]].get(str(seed))
            row.append(shown(value, 5))
        for each in document["comparisons"]:
            found = each["figures"][figure["name"]]
            paired = dict(zip(found["seeds"], found["differences"], strict=True)) if found else {}
            row.append(shown(paired[seed], 4, sign=True) if seed in paired else NOTHING)
        rows.append(row)
    names = [arm["name"] for arm in document["arms"]]
    minus = [f"{each['arm']} {MINUS} {document['baseline']}" for each in document["comparisons"]]
    whole = table(["seed", *names, *minus], rows, caption=f"{figure['words']}{unit}", numbers=len(names) + len(minus))
    return [whole] if len(rows) <= 12 else [details(f"{len(rows)} seeds", whole)]


def _compared(document: Document) -> list[Child]:
    equal = ", ".join(f"{key} {value}" for key, value in document["equal"].items() if value is not None)
    said = [tag("p", f"Equal in all runs: {equal}.")]
    differing = document["differing"]
    said.append(
        tag("p", f"Besides who decides, these settings differ: {', '.join(differing)}.", class_="note")
        if differing
        else tag("p", "Nothing else differs but who decides, and the seeds.", class_="quiet")
    )
    for arm in document["arms"]:
        said.append(tag("h3", arm["name"]))
        said.append(agents_table(arm["agents"]))
        folders = ", ".join(arm["folders"])
        said.append(tag("p", f"{', '.join(arm['modes'])}; folders: {folders}", class_="quiet"))
    return list(said)
