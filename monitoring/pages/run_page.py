"""The page of one run, from its document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from monitoring.pages import bars, lines
from monitoring.pages.axes import HALF
from monitoring.pages.happened import events_table, marks_of
from monitoring.pages.lines import Line
from monitoring.pages.markup import Child, Markup, tag
from monitoring.pages.numbers import THIN, duration, percent, shown, size, whole, with_unit
from monitoring.pages.ran import about, agents_table, footer, note_list
from monitoring.pages.style import card, cards, page, section, table
from monitoring.runs import Document

RENTAL: Final = "rental"
COLOURS: Final = {name: f"var(--{name})" for name in ("local", "edge", "peer", "cloud", "dropped")}
MODES: Final = {"in-process": "in one process", "lockstep": "on the bus, in lockstep", "wall": "on the wall clock"}


def render(document: Document) -> str:
    """The page as HTML."""
    run = document["run"]
    return page(
        f"{run['scenario']}, seed {run['seed']}: {_deciders(document)}",
        _header(document),
        _cards(document),
        note_list(document["missing"]),
        section("Over time", *_timelines(document)),
        section("Where tasks went, and who waited", tag("div", *_shares(document), class_="two")),
        section("Decisions", *_decisions(document)),
        section("Messages", *_messages(document)),
        section("What happened", *_happened(document)),
        section("What ran", agents_table(document["agents"]), *about(document)),
        footer("report.json"),
    )


def sentence(document: Document) -> str:
    """What came of the run, in one sentence."""
    run, slots = document["run"], document["run"]["slots"]
    lead = _ending(run)
    if not slots:
        return f"{lead or 'Nothing to tell: '}no slot was completed.".capitalize()
    said = _rental_outcome(document) if run["world"] == RENTAL else _outcome(document)
    said = f"{lead}{said[0].lower()}{said[1:]}" if lead else said
    return f"{said}; {_troubles(document)}."


def _ending(run: Document) -> str:
    """Empty for a run that ended as it should."""
    planned, slots = run["slots_planned"], run["slots"]
    part = f" after {slots:,} of {planned:,} slots" if planned else f" after {slots:,} slots"
    if run["interrupted"]:
        return f"Interrupted{part}: "
    if run["exit_code"]:
        why = f" ({run['reason']})" if run["reason"] else ""
        return f"Ended early{part} with exit code {run['exit_code']}{why}: "
    if run["exit_code"] is None:
        return f"Without an end{part}: "
    return ""


def _outcome(document: Document) -> str:
    delay = document["delay_s"]
    said = f"A task took {shown(delay['mean'])}{THIN}s under {_deciders(document)}"
    if delay["saved_share"] is not None:
        less = "less" if delay["saved_share"] >= 0 else "more"
        said += (
            f", {percent(abs(delay['saved_share']))} {less} than all in the cloud ({shown(delay['all_cloud'])}{THIN}s)"
        )
    if delay["target"] is not None:
        met = "within" if delay["mean"] <= delay["target"] else "beyond"
        said += f" and {met} the target of {shown(delay['target'])}{THIN}s"
    return said


def _rental_outcome(document: Document) -> str:
    reward, tasks = document["reward"], document["tasks"]
    said = f"Agents ({_deciders(document)}) earned {shown(reward['mean'])} a slot"
    if reward["units_mean"] is not None:
        said += f" with {shown(reward['units_mean'])} units rented"
    total = sum(tasks.values())
    if total and document["delay_s"]["mean"] is not None:
        away = percent(tasks["cloud"] / total)
        said += f"; a task took {shown(document['delay_s']['mean'])}{THIN}s at the edge, {away} went to the cloud"
    return said


def _troubles(document: Document) -> str:
    """Late, missed and refused decisions, and lost nodes, in words."""
    decisions = document["decisions"]
    counts = [(name, decisions[name] or 0) for name in ("missed", "late", "refused")]
    said = [f"{count:g} {'decision was' if count == 1 else 'decisions were'} {name}" for name, count in counts if count]
    lost = sum(1 for event in document["events"] if event.get("kind") == "lost")
    if lost:
        said.append(f"{lost} {'process was' if lost == 1 else 'processes were'} lost")
    if decisions["missed"] is None and not said:
        return "whether decisions were missed is not known"
    return ", ".join(said) or "no decision was missed, late or refused"


def _deciders(document: Document) -> str:
    names = [str(agent.get("spec") or agent.get("name") or "?") for agent in document["agents"]]
    return " and ".join(names) if len(names) < 3 else f"{names[0]} and {len(names) - 1} others"


def _header(document: Document) -> Markup:
    run = document["run"]
    mode = MODES.get(run["mode"], run["mode"] or "")
    parts = [str(run["scenario"]), f"seed {run['seed']}", f"{run['slots']:,} slots", mode]
    return tag(
        "header",
        tag("p", " \u00b7 ".join(part for part in parts if part), class_="over"),
        tag("h1", sentence(document)),
    )


# -- figures first -----------------------------------------------------------------------------------------------------


def _cards(document: Document) -> Markup:
    return cards(*(_rental_cards if document["run"]["world"] == RENTAL else _offloading_cards)(document))


def _offloading_cards(document: Document) -> list[Markup]:
    delay, reward = document["delay_s"], document["reward"]
    target = delay["target"]
    return [
        card("Delay T of a task", shown(delay["mean"]), "s", _quantiles(delay)),
        card(
            "Against all in the cloud",
            percent(-delay["saved_share"], sign=True) if delay["saved_share"] is not None else "\u2013",
            more=f"all-cloud {shown(delay['all_cloud'])}{THIN}s" if delay["all_cloud"] is not None else "",
            tone="good" if (delay["saved_share"] or 0) > 0 else None,
        ),
        *(
            [
                card(
                    "Against the target",
                    percent(delay["mean"] / target - 1.0, sign=True),
                    more=f"target {shown(target)}{THIN}s",
                )
            ]
            if target and delay["mean"] is not None
            else []
        ),
        card("Reward of a frame", shown(reward["mean"]), "s", f"{shown(reward['total'], 4)}{THIN}s in all"),
        *_shared_cards(document),
    ]


def _rental_cards(document: Document) -> list[Markup]:
    reward, delay = document["reward"], document["delay_s"]
    rent = (
        f"{shown(reward['units_mean'])} units for {shown(reward['cost_mean'])}"
        if reward["units_mean"] is not None
        else ""
    )
    return [
        card("Reward of a slot", shown(reward["mean"]), "", f"{shown(reward['total'], 4)} in all"),
        card("Rented in a slot", shown(reward["units_mean"]), "units", rent and f"rent {shown(reward['cost_mean'])}"),
        card("Delay of a task at the edge", *duration(delay["mean"])),
        *_shared_cards(document),
    ]


def _shared_cards(document: Document) -> list[Markup]:
    decisions, sizes = document["decisions"], document["bytes"]
    found = [
        card(
            "Decision time, p95",
            *duration(decisions["p95_s"]),
            f"p50 {with_unit(duration(decisions['p50_s']))}, p99 {with_unit(duration(decisions['p99_s']))}",
        )
    ]
    if sizes is not None:
        found.append(card("Messages of one decision", *size(sizes["per_decision"]), "on the wire, one edge server's"))
    counts = [decisions[name] for name in ("missed", "late", "refused")]
    known = [count for count in counts if count is not None]
    bad = sum(known) > 0
    figure = " / ".join("\u2013" if count is None else f"{count:g}" for count in counts)
    found.append(card("Missed / late / refused", figure, more="decisions", tone="bad" if bad else None))
    return found


def _quantiles(delay: Mapping[str, Any]) -> str:
    if delay["p50"] is None or delay["p95"] is None:
        return ""
    return f"p50 {shown(delay['p50'])}{THIN}s, p95 {shown(delay['p95'])}{THIN}s"


# -- over time ---------------------------------------------------------------------------------------------------------


def _timelines(document: Document) -> list[Child]:
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
        alt = f"Reward over slots, between {_span(series['reward'])}."
        found.append(
            lines.line_chart(
                f"Reward, all edge servers; {point}.", alt, rewards, "slot", "reward", marks, x_range=x_range
            )
        )
        units = [Line("units", slots, series["units"], "var(--c2)")]
        alt = f"Units rented over slots, between {_span(series['units'])}."
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
        alt = f"Delay of a task over slots, between {_span(series['delay_s'])} s."
        found.append(
            lines.line_chart(f"Delay of a task; {point}.", alt, delays, "slot", "s per task", marks, x_range=x_range)
        )
    found.append(_cells_strip(document, x_range))
    found.append(_targets(document, x_range))
    return found


def marks_key(marks: list[lines.Mark]) -> tuple[list[str], dict[str, str]]:
    """Kinds of what is marked, and their names."""
    from monitoring.pages.happened import KIND_NAMES

    return list(dict.fromkeys(mark.kind for mark in marks)), KIND_NAMES


def _span(values: list[float | None]) -> str:
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
    alt = f"Dropped tasks of a slot, between {_span(dropped)}."
    return lines.line_chart("Dropped tasks of a slot.", alt, drawn, "slot", "tasks", height=140.0, x_range=x_range)


# -- parts -------------------------------------------------------------------------------------------------------------


def _shares(document: Document) -> list[Child]:
    world = document["run"]["world"]
    rental = world == RENTAL
    tasks = document["tasks"]
    total = sum(tasks.values())
    words = ", ".join(f"{name} {percent(count / total)}" for name, count in tasks.items()) if total else "none"
    found: list[Child] = [
        tag(
            "div",
            bars.stacked(
                f"{whole(total)} tasks by where they ended.", f"Tasks by target: {words}.", [("", tasks)], COLOURS
            ),
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
            f"Delay by {of}, {_span(delays)} s.",
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
                f"Reward by edge server, {_span(rewards)}.",
                names,
                [max(reward, 0.0) for reward in rewards],
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
            f"Delay by service, {_span(delays)} s.",
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
            f"Tasks by service, {_span(wanted)}.",
            [str(service["service"]) for service in services],
            wanted,
            "service",
            "tasks",
        )
    )
    return found


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


def _decisions(document: Document) -> list[Child]:
    decisions, wall = document["decisions"], document["series"].get("wall") or {}
    rows: list[list[Child]] = [
        [name, with_unit(duration(decisions[key]))]
        for name, key in (("p50", "p50_s"), ("p95", "p95_s"), ("p99", "p99_s"), ("slowest", "max_s"))
        if decisions[key] is not None
    ]
    names = {"missed": "missed (nobody decided)", "late": "late", "refused": "refused at the edge"}
    rows += [[names[key], f"{decisions[key]:g}"] for key in names if decisions[key] is not None]
    rows += [[f"refused: {reason}", f"{count:g}"] for reason, count in decisions["refused_by_reason"].items()]
    late = document["run"]["late_slots"]
    if late:
        rows.append(["slots closed before everyone was done", f"{late:g}"])
    if wall.get("attempts"):
        rows.append(["slots computed again after a loss", f"{wall['attempts']:g}"])
    chart = None
    if wall and any(wall["decision_s"]):
        taken = [None if value is None else 1e3 * value for value in wall["decision_s"]]
        walls = [None if value is None else 1e3 * value for value in wall["slot_wall_s"]]
        drawn = [
            Line("a whole slot", wall["slot"], walls, "var(--quiet)", "thin"),
            Line("its slowest decision", wall["slot"], taken, "var(--c0)"),
        ]
        alt = f"Wall time of slots, between {_span(walls)} ms."
        chart = lines.line_chart("Wall time.", alt, drawn, "slot", "ms", width=HALF, height=220.0)
    return [tag("div", tag("div", table(["decisions", ""], rows, numbers=1)), chart, class_="two")] if rows else []


def _messages(document: Document) -> list[Child]:
    sizes, reward = document["bytes"], document["reward"]
    if sizes is None:
        return []
    rows: list[list[Child]] = [
        ["one decision of one edge server", with_unit(size(sizes["per_decision"]))],
        [f"all decisions of a {reward['each']}", with_unit(size(sizes["per_frame_decision"]))],
    ]
    if document["run"]["world"] != RENTAL:
        rows.append(["the schedule of a slot", with_unit(size(sizes["per_slot_schedule"]))])
    rows += [
        ["a whole slot", with_unit(size(sizes["per_slot"]))],
        ["the run", f"{with_unit(size(sizes['wire']))} in {whole(sizes['messages'])} messages"],
        ["sent again, or for nothing", with_unit(size(sizes["repair"]))],
    ]
    unit = f"{THIN}s" if reward["unit"] == "s" else ""
    told = tag(
        "p",
        f"Reward {shown(reward['mean'])}{unit} a {reward['each']} for ",
        tag("strong", with_unit(size(sizes["per_frame_decision"]))),
        " of messages about what to decide in it.",
    )
    palette = (
        "var(--c0)",
        "var(--c2)",
        "var(--c4)",
        "var(--c3)",
        "var(--c5)",
        "var(--c1)",
        "var(--c6)",
        "var(--cloud)",
    )
    parts = [
        bars.stacked(
            f"Bytes on the wire by {what}.",
            f"Bytes by {what}: "
            + ", ".join(f"{name} {with_unit(size(count))}" for name, count in amounts.items())
            + ".",
            [("", amounts)],
            dict(zip(amounts, palette, strict=False)),
        )
        for what, amounts in (("phase", _largest(sizes["by_phase"])), ("class", _largest(sizes["by_class"])))
    ]
    return [told, tag("div", tag("div", table(["on the wire", ""], rows, numbers=1)), tag("div", *parts), class_="two")]


def _largest(amounts: dict[str, float]) -> dict[str, float]:
    """Those with something in them, the largest first; at most eight, the last of which is the rest."""
    found = sorted(((name, count) for name, count in amounts.items() if count), key=lambda pair: -pair[1])
    rest = sum(count for _, count in found[7:])
    return dict(found[:7]) | ({"other": rest} if rest else {})


def _happened(document: Document) -> list[Child]:
    found: list[Child] = []
    if document["events"]:
        found.append(events_table(document["events"]))
    told = {str(event.get("text")) for event in document["events"]}
    found.append(note_list([note for note in document["notes"] if note not in told]))
    return found
