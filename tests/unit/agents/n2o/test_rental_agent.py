from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from n2o_tables import square
from rental_scene import ACTIONS, Networks, Scene, lossy

from agents.n2o.letters import Letter
from agents.n2o.negotiation import letter_of, message_of
from agents.n2o.rental_agent import DECIDED_SHARE
from bus.gather import Absent
from bus.messages import Orchestration
from bus.process import Process
from bus.testing import Cluster, cluster
from emulator.model.graph import linked
from emulator.nodes.deadlines import RENTED

SPECS = (
    "own",
    "owner",
    "max-sum",
    "consensus:rounds=8",
    "polish",
    "n2o",
    "n2o:gamma=1,output=average,rounds=20",
    "n2o:slopes=secant,centre=shared,gamma=3,rounds=20",
)


@pytest.fixture
def bus() -> Iterator[Cluster]:
    with cluster() as made:
        yield made


@pytest.mark.parametrize("loss", [0.0, 0.3])
@pytest.mark.parametrize("spec", SPECS)
def test_agents_on_the_bus_decide_what_orchestrators_in_one_process_do(bus: Cluster, spec: str, loss: float) -> None:
    networks = Networks(square(3))
    scene = Scene(bus, networks, spec, lossy(loss), processes=3)
    slots = range(2)
    found = [scene.decide(slot) for slot in slots]
    assert found == [networks.in_process(spec, slot, loss) for slot in slots]
    absent = sum(p.measurements.counter("letters_absent").value for p in scene.processes)
    assert (absent > 0) == (loss > 0 and spec != "own")


def test_loss_changes_what_is_decided() -> None:
    networks = Networks(square(3))
    assert [networks.in_process("owner", slot, 0.3) for slot in range(6)] != [
        networks.in_process("owner", slot, 0.0) for slot in range(6)
    ]


def test_who_shares_a_process_with_whom_changes_nothing(bus: Cluster) -> None:
    networks = Networks(square(2))
    together = Scene(bus, networks, "owner", lossy(0.3), processes=1).decide(0)
    assert together == networks.in_process("owner", 0, 0.3)


@pytest.mark.parametrize("gone", ["/agent/1", "/edge/1"])
def test_the_others_do_without_a_neighbour_that_takes_no_part(bus: Cluster, gone: str) -> None:
    networks = Networks(linked(3, [(0, 1), (1, 2), (0, 2)]))
    scene = Scene(bus, networks, "owner", processes=3)
    assert len(scene.decide(0)) == 3
    assert len(scene.decide(1, count=2, missing=[gone])) == 2
    assert sorted(scene.decided) == [0, 2]
    assert scene.decide(2) == networks.in_process("owner", 2, 0.0)


def test_an_agent_that_is_shown_nothing_goes_by_what_it_saw_last(bus: Cluster) -> None:
    networks = Networks(square(2))
    scene = Scene(bus, networks, "owner", lossy(1.0, "/edge/2", "/agent/2"))
    seen = networks.observed
    networks.observed = lambda slot, edge: np.zeros(5) if edge == 2 else seen(slot, edge)  # type: ignore[method-assign]
    for slot in range(2):
        assert scene.decide(slot) == networks.in_process("owner", slot, 0.0)


def test_on_the_wall_clock_rounds_end_at_their_deadline_and_the_last_word_holds(bus: Cluster) -> None:
    networks = Networks(square(2))
    scene = Scene(bus, networks, "owner:rounds=3", slot_wall_s=1.0, silent=[3])
    assert len(scene.decide(0, count=3)) == 3
    absent = sum(p.measurements.counter("letters_absent").value for p in scene.processes)
    assert absent >= 2 * 3  # both neighbours of 3, each round
    assert sorted(scene.decided) == [0, 1, 2]


class HandClock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_with_a_slow_neighbour_everyone_decides_while_the_edge_server_still_waits(bus: Cluster) -> None:
    """Each of fifty rounds lasts to its deadline; once the last one ended when nobody waited for rentals any more."""
    clock = HandClock()
    scene = Scene(bus, Networks(square(2)), "n2o", slot_wall_s=1.0, silent=[3], clock=clock)
    scene.begin(0)
    rentals = [p.publishers[f"/agent/{k}/rental"] for p in scene.processes for k in range(3) if owns(p, k)]
    asked = [p.measurements.counter("inferences") for p in scene.processes]
    bus.until(lambda: sum(each.value for each in asked) == 3)
    while not all(rental.sequence for rental in rentals):
        bus.step()
        clock.now_s += 0.001
        assert clock.now_s < RENTED - 0.09, "a tenth of the slot is for the way"
    assert clock.now_s > DECIDED_SHARE - 0.05, "they did wait for the letters"
    absent = sum(p.measurements.counter("letters_absent").value for p in scene.processes)
    assert absent >= 2 * 50


def owns(process: Process, edge: int) -> bool:
    return f"/agent/{edge}/rental" in process.publishers


def test_whose_time_is_over_decides_at_once_and_writes_no_letters(bus: Cluster) -> None:
    clock = HandClock()
    networks = Networks(square(2))
    scene = Scene(bus, networks, "owner", slot_wall_s=1.0, clock=clock)
    scene.begin(0, hidden=range(4))
    nodes = [node for process in scene.processes for node in process.nodes.values()]
    bus.until(lambda: all(node.collector.waiting() for node in nodes))
    clock.now_s = 0.35
    bus.until(lambda: len(scene.decided) == 4)
    alone = [networks.valued(k, np.zeros((1, 5)))[0].best()[0, 0] for k in range(4)]
    assert [units for _, units in sorted(scene.decided.items())] == alone
    assert not any(sent.sequence for p in scene.processes for t, sent in p.publishers.items() if "orchestration" in t)


def test_bytes_are_those_of_the_bus_and_independent_of_the_network(bus: Cluster) -> None:
    scene = Scene(bus, Networks(square(3)), "owner", processes=9)
    scene.decide(0)
    letters = {
        topic: publisher.traffic
        for process in scene.processes
        for topic, publisher in process.publishers.items()
        if "orchestration" in topic
    }
    assert len(letters) == 24
    assert {traffic.messages for traffic in letters.values()} == {10}
    # One msgpack array of ten letters each: 8 bytes of numbers with their length, and a rental.
    assert {traffic.payload_bytes for traffic in letters.values()} == {10 * (1 + 2 + 8 + 1)}


def test_a_letter_travels_whole() -> None:
    letter = Letter(np.array([[1.5, -2.25]], dtype=np.float32), np.array([2]))
    message = message_of(letter)
    assert message == Orchestration(b"\x00\x00\xc0\x3f\x00\x00\x10\xc0", 2)
    back = letter_of(message, ACTIONS)
    assert back is not None
    assert back.values.tolist() == letter.values.tolist()
    assert back.rented is not None
    assert back.rented.tolist() == [2]
    untold = letter_of(message_of(Letter(letter.values)), ACTIONS)
    assert untold is not None
    assert untold.rented is None


@pytest.mark.parametrize(
    "message",
    [Orchestration(b"\x00" * 7, 0), Orchestration(b"\x00" * 8, 3), Orchestration(b"\x00\x00\xc0\x7f", 0)],
)
def test_what_is_no_letter_is_not_taken_for_one(message: Orchestration) -> None:
    assert letter_of(message, ACTIONS) is None


class Scripted:
    """An exchange in which each neighbour says the same in every round."""

    def __init__(self, said: Sequence[Orchestration | Absent]) -> None:
        self.neighbours = tuple(range(1, 1 + len(said)))
        self.said = said
        self.rounds: list[int] = []

    def send(self, round_: int, neighbour: int, message: Orchestration) -> None:
        self.rounds.append(round_)

    def receive(self, round_: int, then: object) -> None:
        self.then = then

    def ended(self, rounds: int) -> bool:
        return False


def test_malformed_letters_are_counted_and_not_heard() -> None:
    from agents.n2o.negotiation import Negotiation
    from agents.n2o.orchestrators import recipe

    networks = Networks(square(2))
    table, slopes = networks.valued(0, networks.observed(0, 0)[None])
    part = recipe("owner").make(networks.graph, 0, table, slopes)
    exchange = Scripted([Orchestration(b"\x00" * 16, 1), Absent("link")])
    units: list[int] = []
    negotiation = Negotiation(part, 2, exchange, ACTIONS, units.append)
    negotiation.start()
    for _ in range(2):
        exchange.then(exchange.said)  # type: ignore[operator]
    assert (negotiation.malformed, negotiation.absent) == (2, 2)
    assert units == table.best()[:, 0].tolist()


class Repeating:
    """A part that writes the same to everyone in every round."""

    def outgoing(self) -> dict[int, Letter]:
        letter = Letter(np.array([[2.0, -4.0]], dtype=np.float32))
        return {1: letter, 2: letter}

    def take(self, received: object) -> None:
        """It listens to nobody."""

    def rented(self) -> np.ndarray:
        return np.array([0])


def test_disagreement_is_the_farthest_neighbour_in_the_last_round_in_which_one_was_heard() -> None:
    from agents.n2o.negotiation import Negotiation

    same, other = np.array([2.0, -4.0], dtype="<f4").tobytes(), np.array([2.0, -3.0], dtype="<f4").tobytes()
    exchange = Scripted([Orchestration(same, -1), Orchestration(other, -1)])
    negotiation = Negotiation(Repeating(), 3, exchange, ACTIONS, lambda _: None)
    negotiation.start()
    assert negotiation.disagreement == 0.0
    exchange.then([exchange.said[0], exchange.said[0]])  # type: ignore[operator]
    assert negotiation.disagreement == 0.0
    for said in (exchange.said, [Absent("late"), Absent("late")]):
        exchange.then(said)  # type: ignore[operator]
        assert negotiation.disagreement == pytest.approx(0.25)
