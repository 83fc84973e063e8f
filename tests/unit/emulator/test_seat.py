"""One foreign agent's seat, without a socket: what the wall clock does to it, and bytes that nobody meant."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from thread_run import small

from bus import agent_wire as wire
from bus.errors import DecodeError
from bus.messages import Array, Deployment, FrameObservation, FrameReward, Message
from emulator.assembly import build_network
from emulator.nodes.gateway import read
from emulator.nodes.seat import Seat
from emulator.nodes.seat_faces import DeploymentFace

EPOCH = 3


class Table:
    """A seat, and what came of it."""

    def __init__(self, slot_wall_s: float | None) -> None:
        scenario = small()
        self.said: list[tuple[str, int, int]] = []
        self.reasons: list[str] = []
        self.published: list[tuple[Message, int, int]] = []
        self.told: list[str] = []
        self.timers: list[Callable[[], None]] = []
        face = DeploymentFace(scenario, slot_wall_s, 0, build_network(scenario))
        self.seat = Seat(
            face, self.say, lambda *what: self.published.append(what[:3]), self.told.append,
            lambda _seconds, then: self.timers.append(then),
        )  # fmt: skip
        self.seat.begin(lambda: None)
        for frame in range(2):
            self.answer((), 0, frame)

    def say(self, said: wire.Said, epoch: int, frame: int) -> None:
        self.said.append((type(said).__name__, epoch, frame))
        if isinstance(said, wire.Refused):
            self.reasons.append(said.reason)

    def answer(self, services: tuple[int, ...], epoch: int, frame: int) -> None:
        header = wire.Header(wire.MAGIC, 1, wire.NUMBERS[wire.Deployment], 0, 9, epoch, frame, 1)
        self.seat.hear(header, wire.Deployment(services), "")

    def ask(self, frame: int, attempt: int = 0, epoch: int = EPOCH) -> None:
        seen = FrameObservation(0, frame, Array.of(np.ones((2, 6))))
        self.seat.ask(seen, frame, epoch, 2 * frame, attempt)


def test_on_the_wall_clock_what_comes_after_the_slot_closed_is_late_and_the_next_frame_is_asked() -> None:
    table = Table(1.0)
    table.ask(0)
    table.seat.judged(0, "late")
    table.answer((1,), EPOCH, 0)
    table.ask(1)
    table.answer((1,), EPOCH, 0)
    table.answer((2,), EPOCH, 1)
    assert table.reasons == ["late", "late", "stale_frame"]
    assert table.published == [(Deployment(0, 1, (2,)), 2, 0)]


def test_on_the_wall_clock_no_observation_waits_for_a_reward_and_in_lockstep_it_does() -> None:
    for slot_wall_s, expected in ((1.0, [0, 1]), (None, [0])):
        table = Table(slot_wall_s)
        table.ask(0)
        table.answer((), EPOCH, 0)
        table.ask(1)
        assert [frame for name, epoch, frame in table.said if name == "Observation" and epoch] == expected
    table.seat.rewarded(FrameReward(0, 1.0, 1.0, 2.0), 0)
    assert table.said[-2:] == [("Reward", EPOCH, 0), ("Observation", EPOCH, 1)]


def test_an_attempt_more_gets_the_same_answer_and_one_that_begins_before_it_gets_it_once() -> None:
    table = Table(None)
    table.ask(0)
    table.ask(0, attempt=1)
    table.answer((4,), EPOCH, 0)
    table.ask(0, attempt=2)
    same = Deployment(0, 0, (4,))
    assert table.published == [(same, 0, 1), (same, 0, 2)]


def test_a_deadline_that_passed_closes_its_own_frame_and_no_other() -> None:
    table = Table(None)
    assert table.told == [""]
    expired, table.timers = table.timers, []
    for timer in expired:
        timer()  # of the warm-up, which is over
    assert (table.reasons, table.published) == ([], [])
    table.ask(0)
    table.answer((4,), EPOCH, 0)
    table.seat.rewarded(FrameReward(0, 1.0, 1.0, 2.0), 0)
    table.ask(1)
    first, second = table.timers
    first()
    assert len(table.published) == 1
    second()
    assert table.published[1] == (Deployment(-1, 1, ()), 2, 0)


def test_who_is_bound_again_is_asked_again_under_the_new_epoch() -> None:
    table = Table(1.0)
    table.ask(0)
    table.ask(0, epoch=EPOCH + 1)
    table.answer((1,), EPOCH, 0)
    table.answer((1,), EPOCH + 1, 0)
    table.answer((1,), EPOCH + 1, 0)
    assert table.reasons == ["stale_epoch", "unasked"]
    assert len(table.published) == 1


@given(
    st.binary(max_size=80),
    st.sampled_from([b"", b"\xc1\x01", *(wire.HEADER.pack(0xC1, 1, k, 0, 9, 3, 0, 1) for k in wire.KINDS)]),
)
def test_whatever_the_bytes_they_are_read_or_refused_by_name(noise: bytes, before: bytes) -> None:
    frame = before + noise
    try:
        header = wire.header_of(frame)
    except DecodeError:
        return
    reason, said, problem = read(frame, header)
    assert reason in ("", "version")
    assert (said is None) == bool(problem)
    if said is not None:
        assert type(said) is wire.KINDS[header.kind]
