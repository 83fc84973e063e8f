"""What a run was: scenario, agents, versions, machine; and the end of a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from monitoring.pages.digits import THIN, duration, shown, size, with_unit
from monitoring.pages.markup import Child, Markup, tag
from monitoring.pages.style import details, table
from monitoring.runs import Document

SHOWN_DIGEST: Final = 16


def agents_table(agents: Sequence[Document]) -> Markup:
    """Who decided where."""
    rows: list[list[Child]] = [
        [
            str(agent.get("name") or agent.get("spec") or "?"),
            str(agent.get("version") or ""),
            tag("code", str(agent["sha256"])[:SHOWN_DIGEST], title=str(agent["sha256"])) if agent.get("sha256") else "",
            _edges(agent.get("edges")),
        ]
        for agent in agents
    ]
    return table(["agent", "version", "SHA-256 of its files", "edge servers"], rows)


def _edges(edges: Any) -> str:
    """Numbers, neighbours as ranges."""
    if not isinstance(edges, Sequence) or not edges:
        return ""
    runs: list[list[int]] = []
    for edge in edges:
        if runs and runs[-1][-1] == edge - 1:
            runs[-1].append(edge)
        else:
            runs.append([edge])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}\u2013{run[-1]}" for run in runs)


def about(document: Document) -> list[Child]:
    """Scenario, machine and packages."""
    run, host = document["run"], document["host"]
    facts: list[tuple[str, object]] = [
        ("scenario", run["scenario"]),
        ("", run["description"]),
        ("world", run["world"]),
        ("seed, world seed", f"{run['seed']}, {run['world_seed']}"),
        ("edge servers", run["edges"]),
        ("services", run["service_count"]),
        ("scheduler", run["scheduler"]),
        ("slots", f"{run['slots']:,} of {run['slots_planned']:,}" if run["slots_planned"] else run["slots"]),
        ("a slot stands for", f"{run['slot_s']:g}{THIN}s" if isinstance(run["slot_s"], int | float) else None),
        ("clock", f"{run['mode']}, {run['rate']:g} s a second" if run["rate"] else run["mode"]),
        ("took", with_unit(duration(run["wall_s"])) if run["wall_s"] is not None else None),
        ("digest", run["digest"]),
        ("folder", run["folder"]),
    ]
    machine: list[tuple[str, object]] = [
        ("processor", host.get("processor")),
        ("processors", host.get("processors")),
        ("memory", with_unit(size(host.get("memory_bytes"))) if host.get("memory_bytes") else None),
        ("system", " ".join(str(host[key]) for key in ("system", "machine") if host.get(key)) or None),
    ]
    packages = [(name, version) for name, version in document["versions"].items()]
    return [
        tag("div", _facts("the run", facts), _facts("machine and packages", [*machine, *packages]), class_="two"),
        *_learned(document["learning"]),
    ]


def _facts(title: str, facts: Sequence[tuple[str, object]]) -> Markup:
    rows: list[list[Child]] = [
        [name, tag("span", str(value), style="overflow-wrap:anywhere")]
        for name, value in facts
        if value not in (None, "")
    ]
    return tag("div", table([title, ""], rows))


def _learned(learning: Any) -> list[Child]:
    if not isinstance(learning, dict):
        return []
    said = ", ".join(f"{key} {shown(value) if isinstance(value, float) else value}" for key, value in learning.items())
    return [tag("p", f"Agents learned while they acted: {said}.", class_="quiet")]


def note_list(notes: Sequence[str]) -> Markup | None:
    """Sentences that must be read; more than a few of them are folded."""
    if not notes:
        return None
    items = [tag("p", note, class_="note") for note in notes]
    return tag("div", *items[:6], details(f"{len(items) - 6} more", *items[6:]) if len(items) > 6 else None)


def footer() -> Markup:
    """Where the figures are."""
    said = (
        "Made by edgerig. All figures of this page, and those of its lines, are in the JSON of the same name beside it."
    )
    return tag("footer", said)
