"""Makes the nodes of each kind of process of the rental world, and what puts them back to their initial state.

Wires processes together, so it may import upward; imports are kept to what the kind of process needs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from agents.errors import AgentError
from bus.process import Process
from bus.resets import Resettable
from bus.slots import SlotDriver
from emulator.folder import state_of
from emulator.introduced import introduce
from emulator.linking import Maker, behind_links
from emulator.makers import lease
from emulator.rental_crowd import Crowd
from emulator.rental_plan import Plan, build_plan
from emulator.scenario import Scenario

if TYPE_CHECKING:
    from agents.rental_policy import RentalPolicy


def _cells(options: argparse.Namespace, process: Process, scenario: Scenario, slot_wall_s: float | None) -> None:
    from emulator.nodes.rental_cell import RentalCellNode

    plan = build_plan(scenario)
    cells = lease(options, process, "cell")
    nodes = [process.node(f"/cell/{cell}") for cell in cells]
    driver = SlotDriver(nodes[0], scenario.slots_per_frame, slot_wall_s)
    made = [
        RentalCellNode(node, driver, cell, plan, scenario.seed, crowd_of(plan, scenario.seed, cell))
        for node, cell in zip(nodes, cells, strict=True)
    ]

    def begin_again(seed: int) -> None:
        driver.begin_again()
        for cell_node, cell in zip(made, cells, strict=True):
            cell_node.begin_again(seed, crowd_of(plan, seed, cell))

    Resettable(process, begin_again)


def crowd_of(plan: Plan, seed: int, cell: int) -> Crowd:
    """The users of one cell: an equal part of all, by number."""
    first, members = plan.cells()[cell]
    return Crowd(plan, [seed], first, members)


def _edges(options: argparse.Namespace, process: Process, scenario: Scenario, slot_wall_s: float | None) -> None:
    from emulator.nodes.gateway import Door, Gateway
    from emulator.nodes.rental_decision import RentalKeeper
    from emulator.nodes.rental_edge import RentalEdgeNode
    from emulator.nodes.seat_faces import RentalFace

    plan = build_plan(scenario)
    edges = lease(options, process, "edge")
    nodes = [process.node(f"/edge/{edge}") for edge in edges]
    driver = SlotDriver(nodes[0], scenario.slots_per_frame, slot_wall_s)
    made, keepers = [], []
    for node, edge in zip(nodes, edges, strict=True):
        keeper = RentalKeeper(node, driver, edge, plan.rental.units, scenario.agent)
        keepers.append(keeper)
        made.append(RentalEdgeNode(node, driver, edge, plan, scenario.seed, keeper))

    faces = [RentalFace(scenario, slot_wall_s, edge, plan.rental.units, plan.graph.neighbours[edge]) for edge in edges]
    places = zip(nodes, edges, faces, keepers, strict=True)
    door = Door(process, [Gateway(node, edge, face, driver, keeper.latest) for node, edge, face, keeper in places])

    def begin_again(seed: int) -> None:
        driver.begin_again()
        door.begin_again(seed)
        for edge_node in made:
            edge_node.begin_again(seed)

    Resettable(process, begin_again)


def _agents(options: argparse.Namespace, process: Process, scenario: Scenario, slot_wall_s: float | None) -> None:
    """Agents that decide by themselves, or such that write to their neighbours before."""
    from agents.policy import per_edge_specs
    from agents.rental_networks import talks
    from agents.rental_policy import observes

    plan = build_plan(scenario)
    agents = lease(options, process, "agent")
    specs = dict(enumerate(per_edge_specs(scenario.agent.policy, scenario.edges.count, observes)))
    introduce(process, {edge: specs[edge] for edge in agents})
    own = {edge: specs[edge] for edge in agents}
    if talks(specs[agents[0]]):
        begin_again = _talking(process, scenario, plan, own, slot_wall_s)
    else:
        folder = Path(options.run) if options.run else None
        begin_again = _silent(process, scenario, plan, own, slot_wall_s, folder)
    Resettable(process, begin_again)


def _silent(
    process: Process,
    scenario: Scenario,
    plan: Plan,
    specs: Mapping[int, str],
    slot_wall_s: float | None,
    folder: Path | None,
) -> Callable[[int], None]:
    from agents.rental_node import RentalAgentNode

    made = {}
    for edge, spec in specs.items():
        policy = _policy(spec, edge, scenario, plan, folder, warm=True)
        node = process.node(f"/agent/{edge}")
        made[edge] = RentalAgentNode(node, edge, plan.edges, policy, slot_wall_s, plan.graph.neighbours[edge])

    def begin_again(seed: int) -> None:
        now = msgspec.structs.replace(scenario, seed=seed)
        for edge, agent in made.items():
            agent.begin_again(_policy(specs[edge], edge, now, plan, folder, warm=False))

    return begin_again


def _policy(spec: str, edge: int, scenario: Scenario, plan: Plan, folder: Path | None, *, warm: bool) -> RentalPolicy:
    """A new policy of one agent.

    Args:
        spec: Which.
        edge: Whom it decides for.
        scenario: What it decides in.
        plan: Of the scenario.
        folder: The run's, where those that learn keep what they have learned.
        warm: Whether the process begins: it goes on from what one before it kept, and loads what it needs.
    Raises: AgentError: it cannot work here.
    """
    from agents.rental_policy import LearningRental, RentalSetting, make_rental_policy, observes, warm_up

    own = None if observes(spec) == "network" else edge
    state = None if folder is None else state_of(folder, edge)
    policy = make_rental_policy(spec, RentalSetting(plan, own, scenario.seed, scenario.name, state=state))
    if isinstance(policy, LearningRental):
        if folder is None:
            raise AgentError(f"agent {spec}: keeps what it learns in the run folder; give --run FOLDER")
        if warm:
            policy.resume()
            warm_up(policy)
    return policy


def _talking(
    process: Process, scenario: Scenario, plan: Plan, specs: Mapping[int, str], slot_wall_s: float | None
) -> Callable[[int], None]:
    from agents.n2o.rental_agent import Orchestrated, RentalAgentNode
    from agents.rental_networks import negotiator
    from agents.rental_policy import RentalSetting

    def policy(edge: int, seed: int) -> Orchestrated:
        return negotiator(specs[edge], RentalSetting(plan, edge, seed, scenario.name))

    nodes = {edge: process.node(f"/agent/{edge}") for edge in specs}
    driver = SlotDriver(next(iter(nodes.values())), scenario.slots_per_frame, slot_wall_s)
    made = {
        edge: RentalAgentNode(node, driver, plan.graph, edge, policy(edge, scenario.seed))
        for edge, node in nodes.items()
    }

    def begin_again(seed: int) -> None:
        driver.begin_again()
        for edge, agent in made.items():
            agent.begin_again(policy(edge, seed))

    return begin_again


MAKERS: dict[str, Maker] = {"cell": behind_links(_cells), "edge": behind_links(_edges), "agent": behind_links(_agents)}
