"""What happened in a run: as signs over a timeline, and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from monitoring.pages.digits import NOTHING, duration, with_unit
from monitoring.pages.lines import Mark, glyph
from monitoring.pages.markup import Child, Markup, tag
from monitoring.pages.style import table
from monitoring.runs import Document

KIND_NAMES: Final = {
    "lost": "a process is lost",
    "joined": "a process takes part",
    "swap": "an agent is swapped",
    "swap_failed": "a swap fails",
    "swap_back": "a swap is taken back",
    "waits": "time stands for an agent",
    "gap": "an agent's successor decides",
    "stage": "a stage of the trial begins",
    "link": "a link is changed",
    "stop": "the run is stopped",
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


def swaps_table(swaps: Sequence[Document]) -> Markup:
    """A line for each swap, with its outcome."""
    rows: list[list[Child]] = []
    for swap in swaps:
        end = str(swap.get("stage", ""))
        tone = "good" if end == "done" else "bad" if end == "failed" else "warn"
        frame = swap.get("frame", -1)
        parts = swap.get("parts") or []
        why = " in ".join(part for part in (str(swap.get("reason") or ""), str(swap.get("failed") or "")) if part)
        rows.append(
            [
                str(swap.get("number")),
                ", ".join(str(part.get("edge")) for part in parts),
                str(swap.get("agent") or "who stood by"),
                tag("span", end, class_=tone),
                why,
                ", ".join(dict.fromkeys(str(part.get("state")) for part in parts if part.get("state"))) or NOTHING,
                str(frame) if isinstance(frame, int) and frame >= 0 else NOTHING,
                str(swap.get("gap_frames", NOTHING)),
                str(swap.get("missed", NOTHING)),
                with_unit(duration(swap.get("held_s"))),
            ]
        )
    head = ["swap", "edge servers", "agent", "outcome", "why", "state"]
    return table([*head, "from frame", "gap [frames]", "missed", "time held"], rows, numbers=4)


def joined_kind(sign: Markup, kind: str) -> Markup:
    """The sign and the word."""
    return tag("span", sign, f" {kind}", style="white-space:nowrap")
