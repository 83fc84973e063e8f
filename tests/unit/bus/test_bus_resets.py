"""A process begins again when it has all up to the fence, and keeps nothing of what was before it."""

from __future__ import annotations

import pytest

from bus.messages import Array, Arrivals, BeginAgain, BegunAgain, Failure, Published
from bus.process import own_node
from bus.resets import BEGIN_AGAIN, Resettable, published
from bus.testing import Cluster, cluster

TOPIC = "/cell/0/arrivals"


def arrivals(count: float) -> Arrivals:
    return Arrivals(Array.of_floats([count]))


@pytest.fixture
def bus():
    with cluster() as made:
        yield made


class Pair:
    """A publisher, and a subscriber that can be told to miss what is live; a third process asks."""

    def __init__(self, bus: Cluster) -> None:
        self.bus = bus
        self.deaf = False
        self.seeds: list[int] = []
        self.gathered: list[list[Arrivals]] = []
        self.source = bus.process("source")
        self.sink = bus.process("sink", drop=lambda _topic, _sequence: self.deaf)
        self.asker = bus.process("asker")
        self.publisher = self.source.node("/cell/0").publisher(TOPIC)
        self.node = self.sink.node("/edge/0")
        self.node.collect("arrivals", TOPIC, "/cell/0")
        self.resettable = Resettable(self.sink, self.seeds.append)
        bus.link(self.sink, self.source)
        bus.until(lambda: bool(self.publisher.matched) and self.sink.subscriptions[TOPIC].is_matched(1))

    def ask(self, number: int, fence: tuple[Published, ...]) -> BegunAgain:
        answers: list[BegunAgain | Failure] = []
        asking = self.asker.asking(self.sink.call_endpoint, "sink")
        asking.ask(own_node("sink"), BEGIN_AGAIN, BeginAgain(number, 5, fence), BegunAgain, 10.0, answers.append)
        self.bus.until(lambda: bool(answers), skip=self.source)
        assert isinstance(answers[0], BegunAgain), answers[0]
        return answers[0]

    def begin(self, number: int) -> None:
        fence = (published(self.source),)
        done: list[BegunAgain] = []

        def begun() -> bool:
            done.append(self.ask(number, fence))
            self.bus.step()
            return done[-1].done

        self.bus.until(begun)


def test_who_lacks_a_message_of_before_the_fence_waits_and_says_which(bus: Cluster) -> None:
    pair = Pair(bus)
    pair.deaf = True
    for slot in range(3):
        pair.publisher.publish(arrivals(slot), slot=slot)
    fence = (published(pair.source),)
    for _ in range(3):  # the publisher has no turn meanwhile, so that nothing is repaired
        answer = pair.ask(1, fence)
        assert (answer.done, answer.behind) == (False, (f"{TOPIC}: 0 of 3 messages are here",))
    assert pair.seeds == []
    pair.deaf = False
    pair.begin(1)
    assert pair.seeds == [5]
    assert pair.sink.subscriptions[TOPIC].messages == 3


def test_what_was_held_for_a_later_slot_does_not_come_in_the_next_episode(bus: Cluster) -> None:
    pair = Pair(bus)
    pair.publisher.publish(arrivals(1.0), slot=4)
    bus.until(lambda: pair.sink.subscriptions[TOPIC].messages == 1)
    pair.begin(1)
    pair.node.begin(4, 0)
    pair.node.gather("arrivals", ["/cell/0"], 4, 0, pair.gathered.append)
    bus.step()
    assert pair.gathered == []
    pair.publisher.publish(arrivals(2.0), slot=4)
    bus.until(lambda: bool(pair.gathered))
    assert pair.gathered[0][0].tasks.values()[0] == 2.0


def test_the_same_slot_can_be_gathered_again(bus: Cluster) -> None:
    pair = Pair(bus)
    for number in range(1, 4):
        pair.node.gather("arrivals", ["/cell/0"], 0, 0, pair.gathered.append)
        pair.publisher.publish(arrivals(number), slot=0)
        bus.until(lambda number=number: len(pair.gathered) == number)
        pair.begin(number)
    assert pair.seeds == [5, 5, 5]


def test_asked_twice_it_begins_again_once(bus: Cluster) -> None:
    pair = Pair(bus)
    pair.begin(1)
    assert pair.ask(1, (published(pair.source),)).done
    assert pair.seeds == [5]


def test_whoever_listens_from_the_next_episode_on_gets_no_latched_message_of_the_one_before(bus: Cluster) -> None:
    pair = Pair(bus)
    pair.publisher.publish(arrivals(1.0), slot=9)
    Resettable(pair.source, pair.seeds.append)
    pair.publisher.begin_again()
    late = bus.process("late")
    heard: list[float] = []
    late.node("/edge/1").subscribe(TOPIC, lambda message, _header: heard.append(message.tasks.values()[0]))
    bus.link(late, pair.source)
    bus.until(lambda: late.subscriptions[TOPIC].is_matched(1))
    assert heard == []
    pair.publisher.publish(arrivals(2.0), slot=0)
    bus.until(lambda: bool(heard))
    assert heard == [2.0]
