"""What happened in a run: as signs over a timeline, and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from monitoring.pages.lines import Mark, glyph
from monitoring.pages.markup import Child, Markup, tag
from monitoring.pages.style import table
from monitoring.runs import Document

KIND_NAMES: Final = {
    "lost": "a process is lost",
    "joined": "a process takes part",
    "swap": "an agent is swapped",
    "swap_failed": "a swap that failed",
    "stage": "a stage of the trial begins",
    "link": "a link is changed",
    "stop": "the run is stopped",
    "reset": "a reset",
    "note": "a note",
}
UNMARKED: Final = ("note",)


def slot_of(event: Document) -> int:
    """Where an event stands."""
    at: Any = event.get("slot", 0)
    return int(at) if isinstance(at, int | float) else 0


def marks_of(events: Sequence[Document]) -> list[Mark]:
    """Signs for what is worth one; those of the same kind in the same slot are one."""
    found: dict[tuple[int, str], list[str]] = {}
    for event in events:
        kind = str(event.get("kind", "note"))
        if kind not in UNMARKED:
            found.setdefault((slot_of(event), kind), []).append(str(event.get("text", "")))
    return [Mark(float(slot), kind, "; ".join(texts)) for (slot, kind), texts in found.items()]


def events_table(events: Sequence[Document]) -> Markup:
    """A line for each event."""
    rows: list[list[Child]] = []
    for event in events:
        kind = str(event.get("kind", "note"))
        sign = tag("svg", glyph(kind), viewBox="-9 -9 18 18", width=14, height=14, aria_hidden="true")
        rows.append([f"{slot_of(event):,}", joined_kind(sign, kind), str(event.get("text", ""))])
    return table(["slot", "kind", "what happened"], rows)


def joined_kind(sign: Markup, kind: str) -> Markup:
    """The sign and the word."""
    return tag("span", sign, f" {kind}", style="white-space:nowrap")
