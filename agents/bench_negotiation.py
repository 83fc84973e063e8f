"""How long a decision takes by talking to neighbours, between real processes and against the same bytes without a bus.

Each agent is a process: registry, roster, ``SlotDriver``, gathers, its network and its orchestrator. A decision is what
happens from one tick of the hub to the next. *Bare* is ``bus.bench_bare``: the same processes, connections, stages,
counts and sizes; nothing decoded, nothing computed.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from typing import Final, Self

from agents.n2o.bus_exchange import BusExchange
from agents.n2o.example_tables import ACTIONS, Networks, drawn_networks, square
from agents.n2o.negotiation import Negotiation, message_of
from agents.n2o.network import letter_topic
from agents.n2o.orchestrators import Recipe, recipe
from bus import bench_bare, codec, topics
from bus.bench_bare import Part, Stage
from bus.bench_crew import Crew, Line, settle
from bus.bench_lockstep import HUB, START_S, Shape
from bus.bench_lockstep_node import Hub
from bus.messages import Done, Message, Shutdown, Tick
from bus.node import Node
from bus.process import Process
from bus.slots import Now, SlotDriver

ROLE: Final = "agent"
TICK, DONE, FIRST_NEIGHBOUR = 0, 1, 2
TICK_TOPIC: Final = "/hub/tick"
LATER_SLOT: Final = 1000  # its number is as long as those of most slots


@dataclass(frozen=True)
class Plan:
    """What is orchestrated: networks with drawn weights on a square grid.

    Attributes:
        spec: The orchestrator.
        side: Edge servers in a row.
        seed: Of weights and observations.
    """

    spec: str
    side: int
    seed: int

    @property
    def shape(self) -> Shape:
        """A process for each agent."""
        return Shape(self.side**2, self.side**2)

    @property
    def recipe(self) -> Recipe:
        """The orchestrator."""
        return recipe(self.spec)

    @property
    def drawn(self) -> Networks:
        """The networks, and one state that they see."""
        return drawn_networks(square(self.side), 1, self.seed)


@dataclass(frozen=True)
class Weighed:
    """What one directed link carried for a decision: messages, their payload, and bytes on the wire."""

    messages: float
    payload_bytes: float
    wire_bytes: float


class Agents:
    """Hub and agents, a process each, kept between turns."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._decisions = 0
        self.cpu_s = 0.0
        """CPU time of all processes in the last turn."""
        names = [HUB, *(process_of(edge) for edge in range(plan.shape.nodes))]
        self._crew = Crew(_main, {name: (plan, k - 1) for k, name in enumerate(names)})

    def __enter__(self) -> Self:
        crew = self._crew.__enter__()
        try:
            crew.tell("offer", HUB)
            address = crew.hear(HUB, START_S)
            crew.tell(address)
            crew.hear(HUB, START_S)
        except BaseException:
            crew.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._crew.end()

    def turn(self, seconds: float) -> list[float]:
        """Decide for so long; wall seconds of each decision."""
        before_s = self._crew.cpu_s()
        self._crew.tell(seconds, HUB)
        took_s: list[float] = self._crew.hear(HUB, START_S + seconds)
        self._decisions += len(took_s)
        self.cpu_s = self._crew.cpu_s() - before_s
        return took_s

    def weigh(self) -> dict[str, Weighed]:
        """End it; what each directed link carried for a decision, by topic, as the bus counted."""
        self._crew.tell(None, HUB)
        found: dict[str, Weighed] = {}
        for name in self._crew.names:
            if name != HUB:
                for topic, counted in self._crew.hear(name, START_S).items():
                    found[topic] = Weighed(*(each / self._decisions for each in counted))
        return found


def letters_of(plan: Plan) -> dict[str, Weighed]:
    """What each directed link carries for a decision, by topic: as written, not as counted."""
    drawn, rounds = plan.drawn, plan.recipe.rounds
    found = {}
    for edge, part in enumerate(plan.recipe.parts(drawn.tables, drawn.slopes)):
        for other, letter in part.outgoing().items():
            topic = letter_topic(edge, other)
            payload = len(codec.encode_payload(message_of(letter)))
            frame = len(topic) + 1 + codec.HEADER_BYTES + payload
            found[topic] = Weighed(rounds, rounds * payload, rounds * codec.wire_bytes(frame))
    return found


def process_of(edge: int) -> str:
    """The process that hosts an agent."""
    return f"bench{edge}"


def _main(line: Line, plan: Plan, number: int) -> None:
    """One process: the hub's (-1) or an agent's."""
    if number < 0:
        line.word()
        hub = Hub(plan.shape, ROLE)
        line.answer(hub.offer())
        line.word()
        hub.link({})
        settle()
        line.answer("linked")
        while (seconds := line.word()) is not None:
            begun = len(hub.ended_s)
            start = time.perf_counter()
            hub.conduct(seconds)
            ends = [start, *hub.ended_s[begun:]]
            line.answer([after - before for before, after in itertools.pairwise(ends)])
        hub.shut_down(Shutdown("measured"))
        line.word()
        return
    process = Process(process_of(number), table=topics.TABLE)
    line_address = line.word()
    (name,) = process.join(line_address, ROLE, number, deadline_s=START_S)
    node = process.node(name)
    driver = SlotDriver(node, 1, None)
    driver.add(_Decider(node, driver, plan, number))
    process.register()
    settle()
    while not process.stopping:
        process.spin_once(1.0)
    line.answer(_letters(process))
    line.word()


def _letters(process: Process) -> dict[str, tuple[int, int, int]]:
    """Messages, payload and wire bytes of letters, by topic."""
    found = {}
    for topic, publisher in process.publishers.items():
        if publisher.spec.phase == topics.ORCHESTRATION:
            sent = [traffic for (_, kind), traffic in publisher.links().items() if kind == "data"]
            found[topic] = (
                sum(each.messages for each in sent),
                sum(each.payload_bytes for each in sent),
                sum(each.wire_bytes for each in sent),
            )
    return found


class _Decider:
    """An agent that is asked for the same decision each slot."""

    def __init__(self, node: Node, driver: SlotDriver, plan: Plan, edge: int) -> None:
        self.name = node.name
        self._node = node
        self._driver = driver
        self._edge = edge
        self._recipe = plan.recipe
        drawn = plan.drawn
        self._graph, self._net, self._seen = drawn.graph, drawn.nets[edge], drawn.seen[edge]
        self._exchange = BusExchange(node, edge, drawn.graph.neighbours[edge])

    def commit(self) -> None:
        """Nothing is kept."""

    def start(self, now: Now) -> None:
        """Network, table, rounds; that is a decision."""
        self._node.begin(now.slot, now.attempt)
        members = now.members | {f"/edge/{edge}" for edge in range(self._graph.edges)}
        self._exchange.begin(now.slot, now.attempt, members, lambda _: None)
        table = self._net.table(self._seen)
        slopes = self._net.slopes(self._seen) if self._recipe.needs_slopes else None
        part = self._recipe.make(self._graph, self._edge, table, slopes)
        Negotiation(
            part, self._recipe.rounds, self._exchange, ACTIONS, lambda _: self._driver.finish(self, now)
        ).start()


# -- the same without a bus --------------------------------------------------------------------------------------------


def bare(plan: Plan, decisions: int) -> list[float]:
    """Wall seconds of each decision when the same bytes cross the same sockets."""
    ends = bench_bare.play(bare_parts(plan, decisions))
    return [after - before for before, after in itertools.pairwise(ends)]


def bare_parts(plan: Plan, decisions: int) -> list[Part]:
    """The script of each process; who listens to whom is as on the bus."""
    drawn, rounds = plan.drawn, plan.recipe.rounds
    wanted = _wanted(plan)
    parts = [_part(HUB, wanted)]
    tick = _frame(TICK_TOPIC, Tick(LATER_SLOT, LATER_SLOT, 1), TICK)
    agents = plan.shape.nodes
    for slot in range(decisions):
        parts[0].slots.append([Stage([], [tick]), Stage([(DONE, agents * (slot + 1))])])
    recipe_parts = plan.recipe.parts(drawn.tables, drawn.slopes)
    for edge, others in enumerate(drawn.graph.neighbours):
        letters = recipe_parts[edge].outgoing()
        # The kind tells the receiver which of its neighbours it is from, so that each one's rounds are counted apart.
        frames = [
            _frame(letter_topic(edge, other), message_of(letters[other]), _kind(drawn, edge, other)) for other in others
        ]
        done = _frame(f"/process/{process_of(edge)}/done", Done(process_of(edge), LATER_SLOT), DONE)
        part = _part(process_of(edge), wanted)
        for slot in range(decisions):
            before = slot * rounds
            stages = [Stage([(TICK, slot + 1)], frames)]
            for round_ in range(1, rounds + 1):
                needs = [(FIRST_NEIGHBOUR + k, before + round_) for k in range(len(others))]
                stages.append(Stage(needs, frames if round_ < rounds else [done]))
            part.slots.append(stages)
        parts.append(part)
    return parts


def _kind(drawn: Networks, sender: int, receiver: int) -> int:
    return FIRST_NEIGHBOUR + drawn.graph.neighbours[receiver].index(sender)


def _part(name: str, wanted: dict[str, set[str]]) -> Part:
    """A process's subscriptions and connections; a subscription goes to everyone whom its process listens to."""
    published = {
        other: {topic for each in wanted.values() for topic in each if _speaker(topic) == other} for other in wanted
    }
    others = [other for other in wanted if other != name]
    listens = sorted(other for other in others if wanted[name] & published[other])
    notices = sum(len(wanted[other]) for other in others if wanted[other] & published[name])
    return Part(name, sorted(wanted[name]), listens, notices, [])


def _wanted(plan: Plan) -> dict[str, set[str]]:
    """Who subscribes what."""
    graph = plan.drawn.graph
    wanted = {HUB: {f"/process/{process_of(edge)}/done" for edge in range(graph.edges)}}
    for edge, others in enumerate(graph.neighbours):
        wanted[process_of(edge)] = {TICK_TOPIC, *(letter_topic(other, edge) for other in others)}
    return wanted


def _speaker(topic: str) -> str:
    """The process that publishes a topic."""
    role, name = topic.split("/")[1:3]
    return {"hub": HUB, "process": name}.get(role) or process_of(int(name))


def _frame(topic: str, message: Message, kind: int) -> bytes:
    frame = codec.encode(topic, codec.Header(codec.VERSION, 0, 0, 0, 0, 0, 0, 0, 0, 0), message)
    return frame[:-1] + bytes((kind,))
