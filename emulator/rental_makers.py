"""Makes the nodes of each kind of process of the rental world, and what puts them back to their initial state.

Wires processes together, so it may import upward; imports are kept to what the kind of process needs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from bus.process import Process
from bus.resets import Resettable
from bus.slots import SlotDriver
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
    made = []
    for node, edge in zip(nodes, edges, strict=True):
        keeper = RentalKeeper(node, driver, edge, plan.rental.units, scenario.agent)
        made.append(RentalEdgeNode(node, driver, edge, plan, scenario.seed, keeper))

    faces = [RentalFace(scenario, slot_wall_s, edge, plan.rental.units) for edge in edges]
    door = Door(process, [Gateway(*place) for place in zip(nodes, edges, faces, strict=True)])

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
    make = _talking if talks(specs[agents[0]]) else _silent
    begin_again = make(process, scenario, plan, {edge: specs[edge] for edge in agents}, slot_wall_s)
    Resettable(process, begin_again)


def _silent(
    process: Process, scenario: Scenario, plan: Plan, specs: Mapping[int, str], slot_wall_s: float | None
) -> Callable[[int], None]:
    from agents.rental_node import RentalAgentNode
    from agents.rental_policy import RentalSetting, make_rental_policy, observes

    def policy(edge: int, seed: int) -> RentalPolicy:
        own = None if observes(specs[edge]) == "network" else edge
        return make_rental_policy(specs[edge], RentalSetting(plan, own, seed, scenario.name))

    made = {
        edge: RentalAgentNode(
            process.node(f"/agent/{edge}"), edge, plan.edges, policy(edge, scenario.seed), slot_wall_s
        )
        for edge in specs
    }

    def begin_again(seed: int) -> None:
        for edge, agent in made.items():
            agent.begin_again(policy(edge, seed))

    return begin_again


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
