"""The page of one run, from its document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from monitoring.pages import bars, lines
from monitoring.pages.axes import HALF
from monitoring.pages.digits import THIN, duration, percent, shown, size, whole, with_unit
from monitoring.pages.happened import events_table, swaps_table
from monitoring.pages.lines import Line
from monitoring.pages.markup import Child, Markup, tag
from monitoring.pages.ran import about, agents_table, footer, note_list
from monitoring.pages.run_charts import shares, span, timelines
from monitoring.pages.run_words import deciders, sentence
from monitoring.pages.style import card, cards, page, section, table
from monitoring.runs import Document

RENTAL: Final = "rental"
MODES: Final = {"in-process": "in one process", "lockstep": "on the bus, in lockstep", "wall": "on the wall clock"}


def render(document: Document) -> str:
    """The page as HTML."""
    run = document["run"]
    return page(
        f"{run['scenario']}, seed {run['seed']}: {deciders(document)}",
        _header(document),
        _cards(document),
        note_list(document["missing"]),
        section("Over time", *timelines(document)),
        section("Where tasks went, and who waited", tag("div", *shares(document), class_="two")),
        section("Decisions", *_decisions(document)),
        section("Messages", *_messages(document)),
        section("What happened", *_happened(document)),
        section("What ran", agents_table(document["agents"]), *about(document)),
        footer(),
    )


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
    counts = [decisions[name] for name in ("missed", "refused", "late")]
    known = [count for count in counts if count is not None]
    bad = sum(known) > 0
    figure = " / ".join("\u2013" if count is None else f"{count:g}" for count in counts)
    found.append(card("Missed / refused / late", figure, more="decisions", tone="bad" if bad else None))
    return found


def _quantiles(delay: Mapping[str, Any]) -> str:
    if delay["p50"] is None or delay["p95"] is None:
        return ""
    return f"p50 {shown(delay['p50'])}{THIN}s, p95 {shown(delay['p95'])}{THIN}s"


def _decisions(document: Document) -> list[Child]:
    decisions, wall = document["decisions"], document["series"].get("wall") or {}
    rows: list[list[Child]] = [
        [name, with_unit(duration(decisions[key]))]
        for name, key in (("p50", "p50_s"), ("p95", "p95_s"), ("p99", "p99_s"), ("slowest", "max_s"))
        if decisions[key] is not None
    ]
    names = {"missed": "missed (nobody decided)", "refused": "refused by the edge server"}
    rows += [[names[key], f"{decisions[key]:g}"] for key in names if decisions[key] is not None]
    rows += [[f"refused for being {reason}", f"{count:g}"] for reason, count in decisions["refused_by_reason"].items()]
    if decisions["messages_late"]:
        rows.append(["messages that came after their slot", f"{decisions['messages_late']:g}"])
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
        alt = f"Wall time of slots, between {span(walls)} ms."
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
    if document["swaps"]:
        found.append(swaps_table(document["swaps"]))
    told = {str(event.get("text")) for event in document["events"]}
    found.append(note_list([note for note in document["notes"] if note not in told]))
    return found
