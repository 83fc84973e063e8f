"""Agents of the rental world on the bus, in one thread: hub and edge servers in one process, agents in others."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from agents.n2o.dual_averaging import Slopes
from agents.n2o.network import losing, nothing_lost, orchestrated
from agents.n2o.orchestrators import recipe
from agents.n2o.relu_net import LocalNetwork, ReluNet
from agents.n2o.rental_agent import Orchestrated, RentalAgentNode
from agents.n2o.tables import LocalTable, Tables
from bus.link_table import LinkTable
from bus.links import LinkClock, Links
from bus.messages import Array, LinkRule, LinkShape, Member, Observation, Rental, Roster, Tick
from bus.process import Process
from bus.slots import SlotDriver
from bus.testing import Cluster
from emulator.model.graph import Graph

ACTIONS = 3
SEED = 5


def network(seed: int, neighbours: int, most: int) -> LocalNetwork:
    random = np.random.default_rng(seed)
    widths = (6 + most, 8, 32, 8, 1)
    shapes = [(widths[k], widths[k + 1]) for k in range(4)]
    weights = [random.normal(size=shape) * np.sqrt(2.0 / shape[0]) for shape in shapes]
    net = ReluNet(weights, [0.1 * random.normal(size=shape[1]) for shape in shapes])
    return LocalNetwork(net, ACTIONS, neighbours, most)


class Networks:
    """A network for each edge server, and what each observes in a slot."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        most = max(len(those) for those in graph.neighbours)
        self.nets = [network(edge, len(those), most) for edge, those in enumerate(graph.neighbours)]

    def observed(self, slot: int, edge: int) -> np.ndarray:
        return np.random.default_rng((slot, edge)).normal(size=5)

    def valued(self, edge: int, observed: np.ndarray) -> tuple[LocalTable, Slopes]:
        return self.nets[edge].table(observed), self.nets[edge].slopes(observed)

    def in_process(self, spec: str, slot: int, loss: float) -> list[int]:
        made = recipe(spec)
        both = [self.valued(edge, self.observed(slot, edge)[None]) for edge in range(self.graph.edges)]
        tables = Tables(self.graph, tuple(table for table, _ in both))
        lost = losing(loss, SEED, slot) if loss else nothing_lost
        return orchestrated(made.parts(tables, lambda edge: both[edge][1]), made.rounds, lost).last[0].tolist()


class Scene:
    """All agents of a graph, some to a process; ``decide`` plays one slot."""

    def __init__(
        self,
        cluster: Cluster,
        networks: Networks,
        spec: str,
        rules: Sequence[LinkRule] = (),
        *,
        processes: int = 2,
        slot_wall_s: float | None = None,
        silent: Sequence[int] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        graph, self.cluster, self.networks = networks.graph, cluster, networks
        self.world = cluster.process("world")
        self.decided: dict[int, int] = {}
        hub = self.world.node("/hub")
        self.tick, self.roster = hub.publisher("/hub/tick"), hub.publisher("/hub/roster")
        hub.publisher("/hub/shutdown")
        self.shown = {
            edge: self.world.node(f"/edge/{edge}").publisher(f"/edge/{edge}/observation") for edge in range(graph.edges)
        }
        for edge in range(graph.edges):
            hub.subscribe(f"/agent/{edge}/rental", self._on_rental)
        self.agents: list[RentalAgentNode] = []
        self.processes = [cluster.process(f"agents{k}", clock=clock) for k in range(processes)]
        for k, process in enumerate(self.processes):
            self._host(process, graph, range(k, graph.edges, processes), spec, rules, slot_wall_s, silent)
        every = [self.world, *self.processes]
        for one in every:
            for other in every:
                if one is not other:
                    cluster.link(one, other)
        ends = [(p, len(every) - 1) for p in (self.tick, self.roster)]
        cluster.until(lambda: all(len(publisher.matched) == processes for publisher, _ in ends))
        cluster.until(lambda: all(self._met(process) for process in every))

    def _met(self, process: Process) -> bool:
        return all(
            any(topic in other.subscriptions for other in [self.world, *self.processes] if other is not process)
            <= bool(publisher.matched)
            for topic, publisher in process.publishers.items()
        )

    def _host(
        self,
        process: Process,
        graph: Graph,
        edges: Sequence[int],
        spec: str,
        rules: Sequence[LinkRule],
        slot_wall_s: float | None,
        silent: Sequence[int],
    ) -> None:
        process.links = Links(process, LinkTable(rules), SEED, LinkClock(60.0, None if slot_wall_s is None else 1.0))
        nodes = {edge: process.node(f"/agent/{edge}") for edge in edges}
        driver = SlotDriver(nodes[edges[0]], 1, slot_wall_s)
        for edge, node in nodes.items():
            if edge in silent:
                continue

            def valued(observed: np.ndarray, edge: int = edge) -> tuple[LocalTable, Slopes]:
                return self.networks.valued(edge, observed)

            policy = Orchestrated(graph, edge, recipe(spec), ACTIONS, valued)
            self.agents.append(RentalAgentNode(node, driver, graph, edge, policy))

    def _on_rental(self, rental: Rental) -> None:
        self.decided[rental.edge] = rental.units

    def begin(self, slot: int, missing: Sequence[str] = (), hidden: Sequence[int] = ()) -> None:
        """Start a slot: roster without some nodes, tick, observations but for those of some edge servers."""
        self.decided = {}
        members = [Member(name, p.instance) for p in [self.world, *self.processes] for name in p.nodes]
        self.roster.publish(Roster(slot, tuple(m for m in members if m.node not in missing)), slot=slot)
        self.tick.publish(Tick(slot, slot, slot), slot=slot)
        for edge, publisher in self.shown.items():
            if f"/edge/{edge}" not in missing and edge not in hidden:
                publisher.publish(Observation(edge, Array.of(self.networks.observed(slot, edge))), slot=slot)

    def decide(self, slot: int, count: int | None = None, missing: Sequence[str] = ()) -> list[int]:
        """Play a slot; what was decided, by edge server."""
        self.begin(slot, missing)
        wanted = self.networks.graph.edges if count is None else count
        self.cluster.until(lambda: len(self.decided) == wanted)
        return [units for _, units in sorted(self.decided.items())]


def lossy(share: float, source: str = "/agent/*", target: str = "/agent/*") -> list[LinkRule]:
    return [LinkRule("set", source, target, LinkShape(loss=share))] if share else []
