"""Labels from runs: what the agents of a run were shown and what they rented, whoever they were and wherever they ran.

A run's tables have all of it, on the bus and in process alike, so nothing has to be recorded for this.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from agents.errors import AgentError
from agents.n2o.layout import FIELDS, Layout
from agents.n2o.tables import Floats, Ints
from emulator.errors import RunFolderError, ScenarioError
from emulator.folder import read_table
from emulator.rental_plan import Plan, build_plan, resolve_rental
from emulator.scenario_file import load

EDGES, SLOTS, SCENARIO = "edges.csv", "slots.csv", "scenario.toml"


def labels_in(run: Path, layout: Layout) -> tuple[Floats, Ints]:
    """Slots of a run with what everybody rented in them.

    A slot counts if all edge servers wrote it down, and what users remembered before it is known.

    Args:
        run: Its folder.
        layout: Of those who are to learn: edge servers, neighbours, rentals.
    Returns: Observations as they were, shape (slot, agent, field), and units in force, shape (slot, agent).
    Raises: AgentError: it is no run of that world, or has no whole slot.
    Source: N2O section V, labels from what orchestrated agents decided.
    """
    plan = _plan_of(run)
    if plan.graph != layout.graph or plan.rental.units + 1 != layout.actions:
        raise AgentError(
            f"{run}: a run of another world (edge servers, neighbours, units); its labels teach nobody here"
        )
    try:
        edges, slots = (read_table(run / name) for name in (EDGES, SLOTS))
    except OSError as error:
        raise AgentError(f"{run}: its tables cannot be read ({error.strerror}); name the folder of a run") from None
    return _whole(run, plan, edges, dict(zip(slots["slot"], slots["hour"], strict=True)))


def _plan_of(run: Path) -> Plan:
    try:
        scenario = load(str(run / SCENARIO))
        if scenario.rental is None:
            raise AgentError(f"{run}: a run of the offloading world; labels for these actors are of the rental world")
        return build_plan(resolve_rental(scenario))
    except (OSError, RunFolderError, ScenarioError) as error:
        raise AgentError(f"{run}: is no folder of a run ({error}); name one that `edgerig run` or `sim` made") from None


def _whole(run: Path, plan: Plan, edges: dict[str, list[float]], hours: dict[float, float]) -> tuple[Floats, Ints]:
    """The slots that everybody wrote down."""
    columns = [np.array(edges[name]) for name in ("users_in_range", "bandwidth_mhz", "price", "units", "remembered_s")]
    lines: dict[int, dict[int, Floats]] = {}
    for slot, edge, line in zip(edges["slot"], edges["edge"], np.stack(columns, axis=1), strict=True):
        lines.setdefault(int(slot), {})[int(edge)] = line
    seen, rented = [], []
    for slot, found in sorted(lines.items()):
        before = lines.get(slot - 1, {})
        begins = plan.episode(slot) == slot
        if len(found) < plan.edges or slot not in hours or not (begins or len(before) == plan.edges):
            continue
        table = np.zeros((plan.edges, FIELDS))
        for edge in range(plan.edges):
            in_range, bandwidth, price = found[edge][:3]
            table[edge] = 0.0 if begins else before[edge][4], in_range, bandwidth, price, hours[slot]
        seen.append(table)
        rented.append([found[edge][3] for edge in range(plan.edges)])
    if not seen:
        raise AgentError(f"{run}: no slot that all edge servers wrote down; let it run longer")
    return np.stack(seen), np.array(rented, dtype=np.int64)
