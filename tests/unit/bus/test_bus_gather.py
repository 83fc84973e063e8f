from __future__ import annotations

from typing import Any

import pytest
from bus_numbers import Number

from bus.gather import Absent
from bus.node import Node
from bus.publisher import Publisher
from bus.testing import Cluster


class Scene:
    """Three publishers of numbers and a node that collects them, in one process."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        process = cluster.process("scene")
        self.node: Node = process.node("/edge/9")
        self.publishers: list[Publisher] = []
        for index in range(3):
            topic = f"/edge/{index}/number"
            self.publishers.append(process.node(f"/edge/{index}").publisher(topic))
            self.node.collect("numbers", topic, index)
        self.got: list[list[Any]] = []

    def send(self, index: int, value: int, slot: int, attempt: int = 0, round_: int = 0) -> None:
        self.publishers[index].publish(Number(value), slot=slot, attempt=attempt, round=round_)

    def gather(self, sources: list[int], slot: int, attempt: int = 0, **options: Any) -> None:
        self.node.gather("numbers", sources, slot, attempt, self.got.append, **options)

    def settle(self) -> None:
        for _ in range(5):
            self.cluster.step()


@pytest.fixture
def scene(numbers: Cluster) -> Scene:
    return Scene(numbers)


def test_messages_come_in_the_order_of_the_sources_not_of_arrival(scene: Scene) -> None:
    scene.gather([2, 0, 1], slot=4)
    for index in (1, 2, 0):
        scene.send(index, index, slot=4)
    scene.settle()
    assert scene.got == [[Number(2), Number(0), Number(1)]]


def test_messages_of_the_next_slot_are_held(scene: Scene) -> None:
    scene.node.begin(4, 0)
    for index in range(3):
        scene.send(index, index, slot=5)
    scene.settle()
    scene.node.begin(5, 0)
    scene.gather([0, 1, 2], slot=5)
    assert scene.got == []  # never from inside gather()
    scene.settle()
    assert scene.got == [[Number(0), Number(1), Number(2)]]


def test_messages_of_a_slot_that_is_over_are_dropped_and_counted(scene: Scene) -> None:
    scene.node.begin(5, 1)
    scene.send(0, 1, slot=4)
    scene.send(0, 1, slot=5, attempt=0)
    scene.send(0, 7, slot=5, attempt=1)
    scene.gather([0], slot=5, attempt=1)
    scene.settle()
    assert scene.got == [[Number(7)]]
    assert scene.node.collector.stale == 2


def test_a_new_attempt_drops_what_was_open_and_held(scene: Scene) -> None:
    scene.node.begin(5, 0)
    scene.gather([0, 1], slot=5)
    scene.send(0, 1, slot=5)
    scene.send(0, 2, slot=5, attempt=1)  # the other side knows of the attempt already
    scene.settle()
    scene.node.begin(5, 1)
    scene.send(1, 3, slot=5, attempt=0)
    scene.send(1, 4, slot=5, attempt=1)
    scene.gather([0, 1], slot=5, attempt=1)
    scene.settle()
    assert scene.got == [[Number(2), Number(4)]]
    assert scene.node.waiting() == []


def test_a_complete_gather_dropped_before_its_turn_does_not_call(scene: Scene) -> None:
    scene.gather([], slot=5)
    scene.node.begin(5, 1)
    scene.settle()
    assert scene.got == []


def test_a_gather_from_nobody_completes_through_the_loop(scene: Scene) -> None:
    scene.gather([], slot=0)
    assert scene.got == []
    scene.settle()
    assert scene.got == [[]]


def test_rounds_are_kept_apart(scene: Scene) -> None:
    scene.send(0, 11, slot=0, round_=1)
    scene.send(0, 10, slot=0, round_=0)
    scene.gather([0], slot=0, round=0)
    scene.gather([0], slot=0, round=1)
    scene.settle()
    assert scene.got == [[Number(11)], [Number(10)]]


def test_a_deadline_fills_the_missing_places(scene: Scene) -> None:
    scene.gather([0, 1], slot=0, deadline_s=0.01)
    scene.send(1, 5, slot=0)
    scene.cluster.until(lambda: bool(scene.got))
    assert scene.got == [[Absent("late"), Number(5)]]
    scene.send(0, 6, slot=0)
    scene.settle()
    assert scene.node.collector.surplus == 1


def test_waiting_names_kind_topic_slot_and_attempt(scene: Scene) -> None:
    scene.gather([0, 1], slot=12, attempt=2)
    scene.send(0, 1, slot=12, attempt=2)
    scene.settle()
    assert scene.node.waiting() == ["numbers from /edge/1/number (slot 12, attempt 2)"]


def test_gathers_that_can_never_close_are_refused(scene: Scene) -> None:
    scene.node.begin(5, 0)
    with pytest.raises(ValueError, match="nothing is collected as numbers of 7"):
        scene.gather([0, 7], slot=5)
    with pytest.raises(ValueError, match="slot 4, attempt 0 is over"):
        scene.gather([0], slot=4)
    scene.gather([0], slot=5)
    with pytest.raises(ValueError, match="gathered already"):
        scene.gather([0], slot=5)


def test_time_that_goes_back_is_a_reset_and_slots_may_be_gathered_again(scene: Scene) -> None:
    scene.node.begin(5, 0)
    scene.gather([0], slot=5)
    scene.gather([1], slot=6)
    scene.send(0, 1, slot=5)
    scene.send(2, 9, slot=7)
    scene.settle()
    scene.node.begin(0, 0)
    assert scene.node.waiting() == []
    for slot in (5, 7):
        scene.gather([2] if slot == 7 else [0], slot=slot)
    scene.settle()
    assert scene.got == [[Number(1)]]
    assert len(scene.node.waiting()) == 2
