"""Makes the nodes of each kind of process, and what puts them back to their initial state.

Wires processes together, so it may import upward; imports are kept to what the kind of process needs.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import msgspec
import numpy as np

from agents.errors import AgentError
from bus.node import Node
from bus.process import Process
from bus.resets import Resettable
from bus.slots import SlotDriver
from emulator.assembly import build_demand, build_network, delay_edges
from emulator.folder import state_of
from emulator.introduced import introduce
from emulator.linking import Maker, behind_links
from emulator.model.offloading import Bools, Floats, Network, frame_costs
from emulator.nodes.edge_decision import Orphan
from emulator.scenario import Scenario

if TYPE_CHECKING:
    from agents.policy import Policy
    from agents.scheduler_node import Schedule, SchedulerNode

Backend = Literal["numpy", "numba"]


def lease(options: argparse.Namespace, process: Process, role: str) -> list[int]:
    """Lease names from the hub; returns their indices."""
    names = process.join(options.hub, role, options.index, options.count, wait_s=options.wait)
    return [int(name.rpartition("/")[2]) for name in names]


def _seeded(scenario: Scenario, seed: int) -> Scenario:
    return msgspec.structs.replace(scenario, seed=seed)


def _cells(options: argparse.Namespace, process: Process, scenario: Scenario, slot_wall_s: float | None) -> None:
    from emulator.nodes.cell import CellNode

    network = build_network(scenario)
    edges_s = delay_edges(network)
    cells = lease(options, process, "cell")
    nodes = [process.node(f"/cell/{cell}") for cell in cells]
    driver = SlotDriver(nodes[0], scenario.slots_per_frame, slot_wall_s)
    made = [
        CellNode(node, driver, cell, demand, network, edges_s)
        for node, cell, demand in zip(nodes, cells, build_demand(scenario, cells), strict=True)
    ]

    def begin_again(seed: int) -> None:
        driver.begin_again()
        for cell_node, demand in zip(made, build_demand(_seeded(scenario, seed), cells), strict=True):
            cell_node.begin_again(demand)

    Resettable(process, begin_again)


def _edges(options: argparse.Namespace, process: Process, scenario: Scenario, slot_wall_s: float | None) -> None:
    from emulator.linked_serving import LinkedServing, make_linked
    from emulator.nodes.edge import EdgeNode
    from emulator.nodes.edge_decision import DeploymentKeeper
    from emulator.nodes.edge_plan import PlanReader
    from emulator.nodes.edge_schedule import ScheduleSource
    from emulator.nodes.edge_serving import Serving, make_serving
    from emulator.nodes.gateway import Door, Gateway
    from emulator.nodes.seat_faces import DeploymentFace
    from emulator.world import routing_stream, times_stream

    network = build_network(scenario)
    edges_s = delay_edges(network)
    backend = cast("Backend", scenario.scheduler.backend)
    edges = lease(options, process, "edge")
    nodes = [process.node(f"/edge/{edge}") for edge in edges]
    driver = SlotDriver(nodes[0], scenario.slots_per_frame, slot_wall_s)
    reader = PlanReader(edges, network.edges, network.services)

    def servings(now: Scenario, edge: int) -> tuple[Serving, LinkedServing]:
        streams = routing_stream(now, edge), times_stream(now, edge)
        serving = make_serving(now.tasks, edge, network, edges_s, *streams, now.slot_s)
        return serving, make_linked(now.tasks, edge, network, edges_s, *streams, now.slot_s)

    made, keepers = [], []
    for node, edge in zip(nodes, edges, strict=True):
        orphan = _orphan(scenario, edge)
        keeper = DeploymentKeeper(node, driver, edge, network, scenario.agent, orphan)
        keepers.append(keeper)
        source = ScheduleSource(node, driver, edge, network, backend, reader, alone=scenario.scheduler.at == "edges")
        made.append(EdgeNode(node, driver, edge, network, keeper, source, *servings(scenario, edge)))

    faces = [DeploymentFace(scenario, slot_wall_s, edge, network) for edge in edges]
    places = zip(nodes, edges, faces, keepers, strict=True)
    door = Door(process, [Gateway(node, edge, face, driver, keeper.latest) for node, edge, face, keeper in places])

    def begin_again(seed: int) -> None:
        driver.begin_again()
        door.begin_again(seed)
        now = _seeded(scenario, seed)
        for edge_node, edge in zip(made, edges, strict=True):
            edge_node.begin_again(_orphan(now, edge), *servings(now, edge))

    Resettable(process, begin_again)


def _orphan(scenario: Scenario, edge: int) -> Orphan | None:
    """The policy an edge server runs itself when nobody decides for it."""
    if scenario.agent.orphan in ("keep", "empty"):
        return None
    from agents.policy import Observation, Setting, make_policy

    setting = Setting(build_network(scenario), scenario.slots_per_frame, edge, scenario.seed, scenario=scenario.name)
    policy = make_policy(scenario.agent.orphan, setting)
    return lambda frame, counts: policy.decide(Observation(frame, counts))


def _agents(options: argparse.Namespace, process: Process, scenario: Scenario, slot_wall_s: float | None) -> None:
    from agents.node import AgentNode
    from agents.policy import per_edge_specs

    network = build_network(scenario)
    agents = lease(options, process, "agent")
    folder = Path(options.run) if options.run else None
    specs = per_edge_specs(scenario.agent.policy, scenario.edges.count)
    introduce(process, {edge: specs[edge] for edge in agents})
    made = [
        AgentNode(process.node(f"/agent/{edge}"), edge, network, scenario.slots_per_frame, policy, slot_wall_s)
        for edge, policy in zip(agents, _policies(scenario, agents, folder, warm=True), strict=True)
    ]

    def begin_again(seed: int) -> None:
        policies = _policies(_seeded(scenario, seed), agents, folder, warm=False)
        for agent, policy in zip(made, policies, strict=True):
            agent.begin_again(policy)

    Resettable(process, begin_again)


def _policies(scenario: Scenario, agents: list[int], folder: Path | None, *, warm: bool) -> list[Policy]:
    """New policies of some agents; who plans for all does it once for those that share a process.

    Args:
        scenario: What they decide in.
        agents: Their edge servers.
        folder: The run's, where those that learn keep what they have learned.
        warm: Whether the process begins: they go on from what one before it kept, and load what they need.
    Raises: AgentError: a policy cannot work here.
    """
    from agents.policy import LearningPolicy, Setting, make_policy, observes, per_edge_specs, warm_up

    network = build_network(scenario)
    specs = per_edge_specs(scenario.agent.policy, scenario.edges.count)
    backend = cast("Backend", scenario.scheduler.backend)
    planners: dict[str, Policy] = {}
    found = []
    for edge in agents:
        spec = specs[edge]
        own = None if observes(spec) == "network" else edge
        policy = planners.get(spec)
        if policy is None:
            setting = Setting(
                network,
                scenario.slots_per_frame,
                own,
                scenario.seed,
                backend,
                scenario=scenario.name,
                state=None if folder is None else state_of(folder, edge),
            )
            policy = make_policy(spec, setting)
            if isinstance(policy, LearningPolicy):
                if folder is None:
                    raise AgentError(f"agent {spec}: keeps what it learns in the run folder; give --run FOLDER")
                if warm:
                    policy.resume()
            if warm:
                warm_up(policy, setting)
        if policy.observes == "network" and not scenario.link:  # over links everyone sees something else
            planners[spec] = policy
        found.append(policy)
    return found


def _cloud(options: argparse.Namespace, process: Process, scenario: Scenario, slot_wall_s: float | None) -> None:
    driver = make_cloud_node(options, process, scenario, slot_wall_s)
    scheduler: SchedulerNode | None = None
    if scenario.scheduler.at == "cloud":
        process.join(options.hub, "scheduler", wait_s=options.wait)
        scheduler = make_scheduler_node(process.node("/scheduler"), driver, scenario)

    def begin_again(_seed: int) -> None:
        driver.begin_again()
        if scheduler is not None:
            scheduler.begin_again(_schedule(scenario))

    Resettable(process, begin_again)


def make_cloud_node(
    options: argparse.Namespace, process: Process, scenario: Scenario, slot_wall_s: float | None
) -> SlotDriver:
    """The cloud's executor; the driver is there for the scheduler beside it."""
    from emulator.nodes.cloud import CloudNode

    network = build_network(scenario)
    process.join(options.hub, "cloud", wait_s=options.wait)
    node = process.node("/cloud")
    driver = SlotDriver(node, scenario.slots_per_frame, slot_wall_s)
    CloudNode(node, driver, network)
    return driver


def make_scheduler_node(node: Node, driver: SlotDriver, scenario: Scenario) -> SchedulerNode:
    """The scheduler in a process that holds its name."""
    from agents.scheduler_node import SchedulerNode

    network = build_network(scenario)
    schedule = _schedule(scenario)
    # Compiled code is loaded at its first use; on the wall clock that would cost the first slots their schedule.
    nothing = np.zeros((network.edges, network.services))
    schedule(nothing, frame_costs(network, nothing.astype(np.bool_)))
    return SchedulerNode(node, driver, network, schedule)


def _schedule(scenario: Scenario) -> Schedule:
    from agents.schedulers import make_scheduler

    return make_scheduler(scenario.scheduler.kind, cast("Backend", scenario.scheduler.backend)).schedule


def frame_gains(network: Network, tasks: Floats, deployed: Bools) -> Floats:
    """What each service was worth in a frame (``Gains``); the search is only loaded when somebody wants to know."""
    from agents.ttosc.credit import marginal_gains

    return marginal_gains(network, tasks, deployed)


MAKERS: dict[str, Maker] = {
    "cell": behind_links(_cells),
    "edge": behind_links(_edges),
    "agent": behind_links(_agents),
    "cloud": behind_links(_cloud),
}
