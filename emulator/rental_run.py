"""One execution of a rental scenario in this process, from its folder to its summary."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agents import rental_rollout
from agents.errors import AgentError
from agents.n2o.online_log import learning_facts, write_curve
from agents.n2o.worth import Totals
from agents.policy import per_edge_specs
from agents.rental_networks import talks
from agents.rental_policy import RentalSetting, make_rental_policy, observes
from bus.digest import RunDigest
from bus.messages import Asked, LinkShape, Message, RentalOutcome, RunStatus
from emulator import records, rental_records, summary
from emulator.errors import RunFolderError, ScenarioError
from emulator.folder import RENTAL_TABLES, Writer
from emulator.linking import shape_of
from emulator.model.rental_ledger import EpisodeRow, RentalEdgeRow, RentalRow, RentalTotals, close_slot
from emulator.rental_plan import build_plan, rental_of, resolve_rental
from emulator.rental_world import Played, RentalWorld
from emulator.scenario import Scenario
from emulator.specs import is_program

INTERRUPTED = 130


def prepare(scenario: Scenario, *, on_bus: bool, may_lack: tuple[type[Exception], ...] = ()) -> Scenario:
    """Resolve a rental scenario and check what only the agents know, but for what may be missing here (``may_lack``).

    Raises: ScenarioError, AgentError: it cannot be run like this.
    """
    specs = per_edge_specs(scenario.agent.policy, scenario.edges.count, observes)
    if any(map(talks, specs)) and len(set(specs)) > 1:
        raise AgentError(
            f"agent {scenario.agent.policy!r}: agents that write to their neighbours need neighbours who do the same; "
            "give all edge servers one policy"
        )
    if scenario.agent.orphan not in ("keep", "empty"):
        raise ScenarioError(
            f"{scenario.name}: agent.orphan: edge servers of the rental world run no policy themselves; "
            "set it to keep or empty"
        )
    if not on_bus:
        check_links(scenario)
    resolved = resolve_rental(scenario)
    _check_policies(resolved, specs, on_bus=on_bus, may_lack=may_lack)
    return resolved


def _check_policies(
    scenario: Scenario, specs: list[str], *, on_bus: bool, may_lack: tuple[type[Exception], ...]
) -> None:
    """Let each policy say what it lacks, before any process is started.

    Raises: AgentError: it cannot work here, for another reason than it may.
    """
    plan = build_plan(scenario)
    for spec in dict.fromkeys(specs):
        if on_bus and is_program(spec):
            continue
        edge = None if observes(spec) == "network" else specs.index(spec)
        with contextlib.suppress(*may_lack):
            make_rental_policy(spec, RentalSetting(plan, edge, scenario.seed, scenario.name))


def check_links(scenario: Scenario) -> None:
    """In one process, links are those between agents, and all they can do is lose letters.

    Raises: ScenarioError: the scenario has others.
    """
    for link in scenario.link:
        ends = (link.source, link.target)
        between_agents = all(end.lstrip("/").startswith("agent/") for end in ends)
        if not between_agents or shape_of(link) != LinkShape(loss=link.loss):
            raise ScenarioError(
                f"{scenario.name}: link: from {link.source} to {link.target}: in one process, links of the rental "
                "world are between agents and have a loss only; leave others out, or use `edgerig run`"
            )


def in_process(scenario: Scenario, folder: Path, on_status: Callable[[RunStatus], None]) -> dict[str, Any]:
    """Run a prepared scenario into a new folder; returns its summary.

    Raises: RunFolderError: a file cannot be written.
    """
    started_s = time.monotonic()
    writer = Writer(folder, RENTAL_TABLES)
    world, digest = RentalWorld(scenario), RunDigest()
    totals = RentalTotals(world.plan.rental.episode_slots)
    negotiated = Totals()
    decisions: list[float] = []
    refused, code = 0, 0
    try:
        before_s = time.perf_counter()
        for played in rental_rollout.play(scenario, world, folder, negotiated):
            decisions += played.decision_s
            refused += played.refused
            said = rental_records.slot_records(played.step, world.plan)
            digest.commit(played.step.slot, [records.digest_entry(topic, message) for topic, message in said])
            edges, row = _rows(played.step, said)
            for edge in edges:
                writer.add("edges.csv", edge)
            writer.add("slots.csv", row)
            episode = totals.add_slot(row)
            if episode is not None:
                writer.row("episodes.csv", EpisodeRow._fields, episode)
            now_s = time.perf_counter()
            writer.timing((row.slot, 1, now_s - before_s, "", sum(played.decision_s)))
            before_s = now_s
            on_status(_status(scenario, totals, refused))
    except KeyboardInterrupt:
        code = INTERRUPTED
    facts = {**totals.facts(), "digest": digest.hex(), "late": 0, "refused": refused, "missed": 0}
    facts["counters"] = dict(sorted(negotiated.counters.items()))
    writer.json("ledger.json", {**facts, "decision_s": decisions, "notes": []})
    writer.close()
    learning = learned(scenario, folder)
    wall_s = time.monotonic() - started_s
    return summary.write(folder, scenario, "in-process", wall_s, code, None, learning=learning)


def learned(scenario: Scenario, folder: Path) -> dict[str, Any] | None:
    """How far the agents of a run came that learn while they act, and the curve of it; None if there are none.

    Raises: RunFolderError: the curve cannot be written.
    """
    try:
        return learning_facts(write_curve(folder, scenario.edges.count)) if scenario.rental is not None else None
    except OSError as error:
        raise RunFolderError(f"{folder}: cannot be written ({error.strerror})") from None


def _rows(played: Played, said: list[tuple[str, Message]]) -> tuple[list[RentalEdgeRow], RentalRow]:
    """The lines of one slot, as the ledger writes them from what nodes say."""
    outcomes = [message for _, message in said if isinstance(message, RentalOutcome)]
    edges = [rental_records.edge_row(played.slot, message) for message in outcomes]
    asked = [message for _, message in said if isinstance(message, Asked)]
    *sent, cloud = rental_records.sent_of(asked, len(edges)).tolist()
    return edges, close_slot(played.slot, int(played.hours[0]), edges, cloud, dict(enumerate(sent)))


def _status(scenario: Scenario, totals: RentalTotals, refused: int) -> RunStatus:
    return RunStatus(
        "running",
        totals.slots - 1,
        scenario.slots,
        totals.slots - 1,
        totals.delay_s,
        rental_of(scenario).users.cloud_s,
        totals.reward,
        totals.by_target(),
        0,
        0,
        refused,
        (),
    )
