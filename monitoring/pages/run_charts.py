"""The pictures on the page of a run: what happened over time, and who got what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from monitoring.pages import bars, lines
from monitoring.pages.digits import duration, percent, shown, whole, with_unit
from monitoring.pages.happened import KIND_NAMES, marks_of
from monitoring.pages.lines import Line
from monitoring.pages.markup import Child, Markup, tag
from monitoring.runs import Document

RENTAL: Final = "rental"
COLOURS: Final = {name: f"var(--{name})" for name in ("local", "edge", "peer", "cloud", "dropped")}
MOST_ROWS: Final = 8
"""Cells whose tasks have a bar each."""


def timelines(document: Document) -> list[Child]:
    """Delay or reward over the slots, with what happened; below it, by cell."""
    series, rental = document["series"], document["run"]["world"] == RENTAL
    if not series:
        return []
    slots, each = series["slot"], series["slots_a_point"]
    marks = marks_of(document["events"])
    until = float(slots[-1] + each)
    x_range = (float(slots[0]), max(until, max((mark.x for mark in marks), default=0.0)))
    point = "each slot" if each == 1 else f"mean of {each} slots"
    found: list[Child] = [lines.key(*marks_key(marks))] if marks else []
    if rental:
        rewards = [Line("reward of a slot", slots, series["reward"], "var(--c0)")]
        alt = f"Reward over slots, between {span(series['reward'])}."
        found.append(
            lines.line_chart(
                f"Reward, all edge servers; {point}.", alt, rewards, "slot", "reward", marks, x_range=x_range
            )
        )
        units = [Line("units", slots, series["units"], "var(--c2)")]
        alt = f"Units rented over slots, between {span(series['units'])}."
        found.append(
            lines.line_chart(
                f"Units rented; {point}.", alt, units, "slot", "units", marks, height=170.0, x_range=x_range
            )
        )
    else:
        delays = [
            Line("had all gone to the cloud", slots, series["all_cloud_delay_s"], "var(--quiet)", "dash thin"),
            Line("as it was", slots, series["delay_s"], "var(--c0)"),
        ]
        target = document["delay_s"]["target"]
        if target is not None:
            delays.insert(1, Line("target", slots, [target] * len(slots), "var(--c2)", "dot"))
        alt = f"Delay of a task over slots, between {span(series['delay_s'])} s."
        found.append(
            lines.line_chart(f"Delay of a task; {point}.", alt, delays, "slot", "s per task", marks, x_range=x_range)
        )
    found.append(_cells_strip(document, x_range))
    found.append(_targets(document, x_range))
    return found


def marks_key(marks: list[lines.Mark]) -> tuple[list[str], dict[str, str]]:
    """Kinds of what is marked, and their names."""
    return list(dict.fromkeys(mark.kind for mark in marks)), KIND_NAMES


def span(values: Sequence[float | None]) -> str:
    """Between what some numbers lie, for those who do not see the picture."""
    numbers = [value for value in values if value is not None]
    return f"{shown(min(numbers))} and {shown(max(numbers))}" if numbers else "nothing and nothing"


def _cells_strip(document: Document, x_range: tuple[float, float]) -> Markup | None:
    series, rental = document["series"], document["run"]["world"] == RENTAL
    names = [str(cell["cell"]) for cell in document["cells"]]
    what, unit, of = ("Reward", "a slot", "edge server") if rental else ("Delay of a task", "s", "cell")
    caption = f"{what} by {of}."
    return bars.heat(caption, caption, names, series["slot"], series["by_cell"], "slot", unit, x_range=x_range)


def _targets(document: Document, x_range: tuple[float, float]) -> Markup | None:
    """Tasks by where they ended, over time, where anything was dropped; else the bar below says it all."""
    series = document["series"]
    dropped = series.get("tasks_dropped")
    if not dropped or not any(dropped):
        return None
    drawn = [Line("dropped", series["slot"], dropped, "var(--dropped)")]
    alt = f"Dropped tasks of a slot, between {span(dropped)}."
    return lines.line_chart("Dropped tasks of a slot.", alt, drawn, "slot", "tasks", height=140.0, x_range=x_range)


def shares(document: Document) -> list[Child]:
    """Tasks by where they ended; delays by cell and by service."""
    world = document["run"]["world"]
    rental = world == RENTAL
    tasks = document["tasks"]
    total = sum(tasks.values())
    words = ", ".join(f"{name} {percent(count / total)}" for name, count in tasks.items()) if total else "none"
    rows = [("", tasks)]
    if not rental and 1 < len(document["cells"]) <= MOST_ROWS:
        rows = [("all cells", tasks)] + [
            (f"cell {cell['cell']}", _by_target(cell, tasks)) for cell in document["cells"]
        ]
    found: list[Child] = [
        tag(
            "div",
            bars.stacked(f"{whole(total)} tasks by where they ended.", f"Tasks by target: {words}.", rows, COLOURS),
            _dropped(document),
            _fairness(document),
        )
    ]
    cells = [cell for cell in document["cells"] if cell["delay_s"] is not None]
    names = [str(cell["cell"]) for cell in cells]
    compared = [cell["all_cloud_delay_s"] for cell in cells] if cells and not rental else []
    of = "edge server" if rental else "cell"
    delays = [cell["delay_s"] for cell in cells]
    found.append(
        bars.columns(
            f"Delay of a task by {of}.",
            f"Delay by {of}, {span(delays)} s.",
            names,
            delays,
            of,
            "s per task",
            compared,
            "all in the cloud",
        )
    )
    if rental:
        rewards = [cell["reward"] for cell in cells]
        found.append(
            bars.columns(
                "Reward of a slot by edge server.",
                f"Reward by edge server, {span(rewards)}.",
                names,
                rewards,
                of,
                "reward a slot",
            )
        )
        return found
    services = [service for service in document["services"] if service["tasks"] > 0]
    delays = [service["delay_s"] for service in services]
    found.append(
        bars.columns(
            "Delay of a task by service, the most wanted first.",
            f"Delay by service, {span(delays)} s.",
            [str(service["service"]) for service in services],
            delays,
            "service",
            "s per task",
            [service["all_cloud_delay_s"] for service in services],
            "all in the cloud",
        )
    )
    wanted = [service["tasks"] for service in services]
    found.append(
        bars.columns(
            "Tasks by service.",
            f"Tasks by service, {span(wanted)}.",
            [str(service["service"]) for service in services],
            wanted,
            "service",
            "tasks",
        )
    )
    return found


def _by_target(cell: Document, targets: Iterable[str]) -> dict[str, float]:
    return {target: cell[target] for target in targets}


def _dropped(document: Document) -> Markup | None:
    reasons = {reason: count for reason, count in document["dropped_by_reason"].items() if count}
    if not reasons:
        return None
    said = ", ".join(f"{whole(count)} {reason}" for reason, count in reasons.items())
    return tag("p", f"Dropped: {said}.", class_="quiet")


def _fairness(document: Document) -> Markup | None:
    fair = document["fairness"]
    if fair is None:
        return None
    best, worst, of = fair["best"], fair["worst"], fair["of"]
    return tag(
        "p",
        f"Fairness over {of}s: Jain's index of their mean delays is ",
        tag("strong", f"{fair['jain']:.3f}"),
        f" (1: all alike). Best served: {of} {best['cell']} with {with_unit(duration(best['delay_s']))}; "
        f"worst: {of} {worst['cell']} with {with_unit(duration(worst['delay_s']))}.",
        class_="quiet",
    )
