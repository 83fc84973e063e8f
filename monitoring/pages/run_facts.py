"""What a run folder has to say, as one document: the page shows it, and it stands beside the page as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from monitoring.pages.series import binned, mean_of, rounded, weighted
from monitoring.runs import Document, Floats, Run

SCHEMA: Final = 1
RENTAL: Final = "rental"
TARGETS: Final = {"offloading": ("local", "peer", "cloud", "dropped"), RENTAL: ("edge", "cloud", "dropped")}
DECIDING: Final = ("deployment", "rental", "orchestration")
MOST_POINTS: Final = 400
MOST_EVENTS: Final = 500
NEEDED: Final = {
    "cells": "figures by cell (cells.csv)",
    "services": "figures by service (services.csv, which is written at the end)",
}


def document(run: Run) -> Document:
    """Everything that the page of a run shows; None where the folder does not say."""
    world = str(run.setting("world", run.summary.get("world", "offloading")))
    found: Document = {
        "kind": "run",
        "schema": SCHEMA,
        "run": _heading(run, world),
        "agents": run.summary.get("agents") or [{"spec": run.setting("agent.policy"), "edges": None}],
        "delay_s": _delays(run, world),
        "reward": _reward(run, world),
        "tasks": _tasks(run, world),
        "dropped_by_reason": run.summary.get("dropped_by_reason") or {},
        "decisions": _decisions(run),
        "bytes": _bytes(run),
        "cells": _cells(run, world),
        "services": _services(run),
        "events": [dict(event) for event in run.events[:MOST_EVENTS]],
        "swaps": [dict(swap) for swap in run.summary.get("swaps") or []],
        "notes": [str(note) for note in run.summary.get("notes") or []],
        "learning": run.summary.get("learning"),
        "versions": run.summary.get("versions") or {},
        "host": run.summary.get("host") or {},
        "series": _series(run, world),
        "missing": list(_missing(run, world)),
    }
    found["fairness"] = _fairness(found["cells"], world)
    return found


def _heading(run: Run, world: str) -> Document:
    summary = run.summary
    frames, per_frame = run.setting("frames"), run.setting("slots_per_frame")
    planned = int(frames) * int(per_frame) if isinstance(frames, int) and isinstance(per_frame, int) else None
    reason = summary.get("exit")
    return {
        "folder": run.folder.resolve().name,
        "scenario": run.setting("name", summary.get("scenario")),
        "description": run.setting("description", ""),
        "world": world,
        "seed": run.setting("seed", summary.get("seed")),
        "world_seed": run.setting("world_seed", summary.get("world_seed")),
        "mode": summary.get("mode", run.setting("clock")),
        "rate": run.setting("rate") if summary.get("mode") == "wall" else None,
        "scheduler": summary.get("scheduler") if world != RENTAL else None,
        "edges": run.setting("edges.count"),
        "service_count": run.setting("services.count") if world != RENTAL else None,
        "slots": len(run.slots.get("slot", ())) or int(run.figure("slots") or 0),
        "slots_planned": planned,
        "slots_per_frame": per_frame,
        "slot_s": run.setting("slot_s"),
        "exit_code": summary.get("exit_code"),
        "interrupted": bool(summary.get("interrupted")),
        "reason": reason.get("reason", "") if isinstance(reason, Mapping) else "",
        "digest": summary.get("digest"),
        "wall_s": summary.get("wall_s"),
        "first_slot_s": summary.get("first_slot_s"),
        "late_slots": summary.get("late_slots"),
    }


def _delays(run: Run, world: str) -> Document:
    """Seconds per task."""
    weights = run.slots.get("tasks") if world == RENTAL else run.completed
    all_cloud_s = run.figure("all_cloud_delay_s")
    if all_cloud_s is None and world != RENTAL:
        all_cloud_s = weighted(run.slots.get("all_cloud_delay_s"), weights)
    mean_s = run.figure("delay_s.mean")
    mean_s = weighted(run.slots.get("delay_s"), weights) if mean_s is None else mean_s
    target = run.setting("target_delay_s")
    return {
        "mean": mean_s,
        "p50": run.figure("delay_s.p50"),
        "p95": run.figure("delay_s.p95"),
        "all_cloud": all_cloud_s,
        "saved_share": 1.0 - mean_s / all_cloud_s if mean_s is not None and all_cloud_s else None,
        "target": float(target) if isinstance(target, int | float) and target > 0 else None,
    }


def _reward(run: Run, world: str) -> Document:
    column = run.slots.get("reward") if world == RENTAL else run.frames.get("reward_s")
    mean, total = run.figure("reward.mean"), run.figure("reward.total")
    return {
        "mean": mean_of(column) if mean is None else mean,
        "total": float(column.sum()) if total is None and column is not None else total,
        "unit": "money" if world == RENTAL else "s",
        "each": "slot" if world == RENTAL else "frame",
        "units_mean": run.figure("units.mean"),
        "cost_mean": run.figure("cost.mean"),
    }


def _tasks(run: Run, world: str) -> dict[str, float]:
    counts = {target: run.figure(f"tasks.{target}") for target in TARGETS[world]}
    if None in counts.values():
        columns = {"edge": "tasks"} if world == RENTAL else {}
        counts = {t: float(run.slots.get(columns.get(t, t), np.zeros(0)).sum()) for t in counts}
    return {target: count or 0.0 for target, count in counts.items()}


def _decisions(run: Run) -> Document:
    counters = run.summary.get("counters")
    refused = {
        str(name).removeprefix("decisions_refused{").removesuffix("}"): count
        for name, count in (counters if isinstance(counters, Mapping) else {}).items()
        if str(name).startswith("decisions_refused{") and count
    }
    spread = {f"{name}_s": run.figure(f"decision_s.{name}") or None for name in ("p50", "p95", "p99", "max")}
    if not any(spread.values()):
        slowest = run.timing.get("decision_s", np.zeros(0))
        slowest = slowest[slowest > 0.0]
        if len(slowest):
            spread = {f"p{q}_s": float(np.quantile(slowest, q / 100)) for q in (50, 95, 99)}
            spread |= {"max_s": float(slowest.max())}
    counts: Document = {name: run.summary.get(name) for name in ("late", "missed", "refused")}
    if isinstance(counters, Mapping) and counts["late"] is not None:
        # The summary's figure holds messages that came after their slot, too.
        counts["messages_late"] = counts["late"] - refused.get("late", 0.0)
        counts["late"] = refused.get("late", 0.0)
    return {**spread, "messages_late": 0, **counts, "refused_by_reason": refused}


def _bytes(run: Run) -> Document | None:
    """Bytes on the wire; None for a run without a bus or without its books."""
    sizes, messages = run.summary.get("bytes"), run.summary.get("messages")
    if run.wire_bytes is None or not isinstance(sizes, Mapping) or not isinstance(messages, Mapping):
        return None
    edges, each = run.setting("edges.count"), sizes.get("per_frame_decision")
    return {
        "wire": sizes.get("wire"),
        "payload": sizes.get("payload"),
        "messages": messages.get("total"),
        "per_slot": sizes.get("per_slot"),
        "per_frame_decision": each,
        "per_decision": each / edges if isinstance(edges, int) and edges and each is not None else None,
        "per_slot_schedule": sizes.get("per_slot_schedule"),
        "repair": sizes.get("repair"),
        "observed": sizes.get("observed"),
        "by_class": dict(sizes.get("by_class") or {}),
        "by_phase": dict(sizes.get("by_phase") or {}),
        "by_topic": dict(sizes.get("by_topic") or {}),
    }


def _cells(run: Run, world: str) -> list[Document]:
    """Each cell (rental: edge server) over the whole run."""
    table, key = (run.edges, "edge") if world == RENTAL else (run.cells, "cell")
    if not len(table.get(key, ())):
        return []
    found = []
    for cell in np.unique(table[key]):
        rows = {name: column[table[key] == cell] for name, column in table.items()}
        if world == RENTAL:
            tasks = rows["tasks"]
            more = {"reward": mean_of(rows["reward"]), "units": mean_of(rows["units"])}
        else:
            tasks = rows["local"] + rows["peer"] + rows["cloud"]
            more = {
                "all_cloud_delay_s": weighted(rows["all_cloud_delay_s"], tasks),
                **{name: float(rows[name].sum()) for name in TARGETS[world]},
            }
        delay_s = weighted(rows["delay_s"], tasks)
        found.append({"cell": int(cell), "tasks": float(rows["tasks"].sum()), "delay_s": delay_s, **more})
    return found


def _services(run: Run) -> list[Document]:
    """Each service over the whole run, the most wanted first."""
    table = run.services
    if not len(table.get("service", ())):
        return []
    order = np.argsort(-table["tasks"], kind="stable")
    return [{name: _plain(name, column[k]) for name, column in table.items()} for k in order]


def _plain(name: str, value: float) -> float | int:
    return int(value) if name == "service" else float(value)


def _fairness(cells: list[Document], world: str) -> Document | None:
    """How alike the cells fare; Jain's index of their mean delays is 1 where all are equal."""
    served = [cell for cell in cells if cell["delay_s"] is not None]
    if len(served) < 2:
        return None
    delays = np.array([cell["delay_s"] for cell in served])
    name = "edge server" if world == RENTAL else "cell"
    squares = float(len(delays) * (delays**2).sum())
    return {
        "jain": float(delays.sum() ** 2 / squares) if squares else 1.0,
        "best": {"cell": served[int(delays.argmin())]["cell"], "delay_s": float(delays.min())},
        "worst": {"cell": served[int(delays.argmax())]["cell"], "delay_s": float(delays.max())},
        "of": name,
    }


def _series(run: Run, world: str) -> Document:
    """Columns for the timelines, a point for so many slots; ``slot`` is each point's first one."""
    slots = run.slots
    if not len(slots.get("slot", ())):
        return {}
    count = len(slots["slot"])
    per_frame = run.setting("slots_per_frame") if world != RENTAL else 1
    each = int(per_frame) if isinstance(per_frame, int) and per_frame > 0 else 1
    each *= max(1, -(-count // (each * MOST_POINTS)))
    weights = slots["tasks"] if world == RENTAL else run.completed
    found: Document = {"slots_a_point": each, "slot": slots["slot"][::each].astype(int).tolist()}
    for name in ("delay_s", "all_cloud_delay_s"):
        if name in slots:
            found[name] = rounded(binned(slots[name], each, weights))
    for name in ("reward", "units", "gain_s"):
        if name in slots:
            found[name] = rounded(binned(slots[name], each))
    for name in TARGETS[world]:
        column = "tasks" if name == "edge" else name
        if column in slots:
            found[f"tasks_{name}"] = rounded(binned(slots[column], each))
    found["by_cell"] = _cell_series(run, world, each)
    found["wall"] = _wall_series(run, each)
    return found


def _cell_series(run: Run, world: str, each: int) -> list[list[float | None]]:
    """Mean delay of each cell (rental: reward of each edge server) at the points."""
    table, key, value = (run.edges, "edge", "reward") if world == RENTAL else (run.cells, "cell", "delay_s")
    if not len(table.get(key, ())):
        return []
    first, count = run.slots["slot"][0], len(run.slots["slot"])
    per_row = 1 if world == RENTAL else int(run.setting("slots_per_frame", 1))  # type: ignore[call-overload]
    at = table["slot"] if world == RENTAL else table["frame"] * per_row
    point = ((at - first) // each).astype(int)
    points = -(-count // each)
    inside = (point >= 0) & (point < points)
    found = []
    for cell in np.unique(table[key]):
        mine = inside & (table[key] == cell)
        weights = np.ones(mine.sum()) if world == RENTAL else table["tasks"][mine]
        sums = np.bincount(point[mine], table[value][mine] * weights, points)
        total = np.bincount(point[mine], weights, points)
        found.append(rounded(np.divide(sums, total, out=np.full(points, np.nan), where=total > 0.0)))
    return found


def _wall_series(run: Run, each: int) -> Document:
    """Wall time of a slot and the slowest decision, the worst of each point's slots."""
    timing = run.timing
    if not len(timing.get("slot", ())):
        return {}
    decided: Floats = np.where(timing["decision_s"] > 0.0, timing["decision_s"], np.nan)
    return {
        "slot": timing["slot"][::each].astype(int).tolist(),
        "slot_wall_s": rounded(binned(timing["wall_s"], each)),
        "decision_s": rounded(binned(decided, each, worst=True)),
        "attempts": int(timing["attempts"].sum() - len(timing["attempts"])) if "attempts" in timing else 0,
    }


def _missing(run: Run, world: str) -> Iterator[str]:
    """What the page cannot show, and why."""
    for trouble in run.trouble:
        if not (world == RENTAL and trouble.startswith("frames.csv")):
            yield f"{trouble}."
    if world != RENTAL and run.slots:
        for name, what in NEEDED.items():
            if not getattr(run, name):
                yield f"The folder has no {what}."
    if run.summary.get("mode") == "in-process":
        yield "The run had no bus: there are no message bytes, and decisions were taken one after the other."
    if len(run.events) > MOST_EVENTS:
        kinds = Counter(str(event.get("kind")) for event in run.events[MOST_EVENTS:])
        rest = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        yield f"Only the first {MOST_EVENTS} events are shown; events.jsonl has the others: {rest}."
