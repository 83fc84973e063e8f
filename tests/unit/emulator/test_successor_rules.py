"""Who left is waited for until somebody comes or a deadline passes, and frames without a decision are counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bus.entries import took_leave
from bus.messages import NodeRecord, Peer
from bus.slots import Now
from emulator.folder import Writer
from emulator.nodes.events import Events
from emulator.nodes.members import Members
from emulator.nodes.successors import LOOK_S, Successors

PATIENCE_S = 10.0
SLOTS = 5


def peer(process: str, instance: int, *names: str) -> Peer:
    return Peer(process, instance, 1, "-", "", "", "", tuple(NodeRecord(name) for name in names))


class Hand:
    """A hub, a clock and members made by hand: two edge servers, of which each has an agent."""

    def __init__(self, folder: Path, patience_s: float = PATIENCE_S) -> None:
        self.now_s = 0.0
        self.due: list[tuple[float, Callable[[], None]]] = []
        self.members = Members()
        self.ready: set[int] = set()
        self.swaps: set[int] = set()
        self.running = True
        self.begun: list[str] = []
        self.folder = folder
        self.writer = Writer(folder)
        for edge in (0, 1):
            self.members.admit(peer(f"edge-{edge}", 10 + edge, f"/edge/{edge}"))
            self.members.admit(peer(f"agent-{edge}", 20 + edge, f"/agent/{edge}"))
        self.waits = Successors(
            lambda: self.now_s, self.after, self.members, patience_s, self.ready.__contains__,
            self.swaps.__contains__, lambda: self.running, Events(self.writer, lambda: 0, SLOTS),
        )  # fmt: skip

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        self.due.append((self.now_s + seconds, action))

    def advance(self, seconds: float) -> None:
        end_s = self.now_s + seconds
        while self.due and min(at for at, _ in self.due) <= end_s:
            self.due.sort(key=lambda entry: entry[0])
            self.now_s, action = self.due.pop(0)
            action()
        self.now_s = end_s

    def leaves(self, edge: int = 0, slot: int = 12) -> None:
        gone = peer(f"agent-{edge}", self.members.bound(edge), f"/agent/{edge}")
        self.waits.left(gone.process, self.members.lose(gone), "left", slot)

    def comes(self, edge: int = 0) -> None:
        self.ready.discard(edge)
        self.members.admit(peer(f"new-{edge}", 30 + edge, f"/agent/{edge}"))

    def begin(self, frame: int) -> None:
        """As the hub begins a frame: whoever is ready takes part."""
        for edge in list(self.ready):
            self.comes(edge)
        if self.waits.may_begin(frame, lambda: self.begin(frame)):
            self.begun.append(f"frame {frame}")

    def repeat(self, now: Now) -> None:
        for edge in list(self.ready):
            self.comes(edge)
        if self.waits.may_repeat(now, lambda: self.repeat(now)):
            self.begun.append(f"slot {now.slot}")

    def slot(self, slot: int) -> Now:
        return Now(slot, slot // SLOTS, 0, slot % SLOTS == 0, self.members.names)

    def commit(self, slot: int, refused: dict[int, str]) -> None:
        self.waits.commit(self.slot(slot), lambda: refused)

    def texts(self, kind: str) -> list[str]:
        path = self.folder / "events.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [event["text"] for event in map(json.loads, lines) if event["kind"] == kind]


@pytest.fixture
def hand(tmp_path: Path) -> Hand:
    return Hand(tmp_path)


def test_nobody_left_and_no_time_is_lost(hand: Hand) -> None:
    hand.begin(1)
    assert (hand.begun, hand.due, hand.waits.facts()) == (["frame 1"], [], {})


def test_the_next_frame_waits_until_the_name_is_held(hand: Hand) -> None:
    hand.leaves()
    hand.begin(3)
    hand.advance(4.0)
    assert (hand.begun, hand.waits.holding) == ([], True)
    assert hand.waits.waiting() == ["frame 3 waits up to 6 s more for somebody to hold /agent/0, which agent-0 left"]
    hand.ready.add(0)
    hand.advance(LOOK_S)
    assert (hand.begun, hand.waits.holding, hand.waits.waiting()) == (["frame 3"], False, [])
    hand.commit(15, {0: "", 1: ""})
    (gap,) = hand.waits.facts()["gaps"]
    assert gap == {
        "edge": 0, "left": "agent-0", "reason": "left", "slot": 12, "first_frame": -1, "last_frame": -1,
        "missed": 0, "held_s": pytest.approx(4.0, abs=2 * LOOK_S),
    }  # fmt: skip
    assert len(hand.texts("gap")) == 1
    hand.begin(4)
    assert hand.begun == ["frame 3", "frame 4"]


def test_after_the_deadline_the_run_goes_on_and_waits_no_more(hand: Hand) -> None:
    hand.leaves()
    hand.begin(3)
    hand.advance(PATIENCE_S - LOOK_S)
    assert hand.begun == []
    hand.advance(2 * LOOK_S)
    assert hand.begun == ["frame 3"]
    hand.commit(15, {0: "", 1: ""})
    hand.begin(4)
    hand.commit(20, {0: "", 1: ""})
    assert hand.begun == ["frame 3", "frame 4"]
    hand.comes()
    hand.commit(25, {0: "late", 1: ""})
    hand.commit(30, {0: "", 1: ""})
    (gap,) = hand.waits.facts()["gaps"]
    assert (gap["first_frame"], gap["last_frame"], gap["missed"]) == (3, 5, 3)
    assert hand.texts("waits")[-1].startswith("nobody came for /agent/0 within 10 s (agent.successor_s)")
    assert hand.texts("gap") == [
        "/agent/0: agent-0 left; frames 3 to 5 without a decision, missed 3; time stood 10.0 s for it"
    ]


def test_each_who_left_has_a_deadline_of_its_own(hand: Hand) -> None:
    hand.leaves(0)
    hand.begin(3)
    hand.advance(6.0)
    hand.leaves(1)
    hand.ready.add(0)
    hand.advance(5.0)
    assert hand.begun == []
    assert [text.partition("which ")[2] for text in hand.waits.waiting()] == ["agent-1 left"]
    hand.advance(PATIENCE_S)
    assert hand.begun == ["frame 3"]


def test_a_slot_that_may_be_undecided_waits_and_later_ones_of_the_frame_do_not(hand: Hand) -> None:
    hand.leaves(slot=12)
    hand.repeat(hand.slot(12))
    assert hand.begun == ["slot 12"]
    hand.repeat(hand.slot(10))
    assert hand.begun == ["slot 12"]
    assert hand.waits.waiting()[0].startswith("slot 10 (frame 2) waits")
    hand.ready.add(0)
    hand.advance(LOOK_S)
    assert hand.begun == ["slot 12", "slot 10"]


def test_who_stands_by_in_a_swap_is_bound_at_the_boundary_and_a_slot_does_not_wait_for_that(hand: Hand) -> None:
    hand.swaps.add(0)
    hand.leaves()
    hand.repeat(hand.slot(10))
    assert hand.begun == ["slot 10"]
    hand.begin(3)
    hand.comes()  # as the swap binds it when it is asked again
    hand.advance(LOOK_S)
    assert hand.begun == ["slot 10", "frame 3"]


def test_without_its_edge_server_nobody_waits_for_an_agent(hand: Hand) -> None:
    hand.leaves()
    hand.members.lose(peer("edge-0", 10, "/edge/0"))
    hand.begin(3)
    assert hand.begun == ["frame 3"]


def test_a_run_that_ends_does_not_go_on(hand: Hand) -> None:
    hand.leaves()
    hand.begin(3)
    hand.running = False
    hand.advance(2 * PATIENCE_S)
    assert hand.begun == []


def test_on_the_wall_clock_what_was_decided_before_it_left_counts(tmp_path: Path) -> None:
    hand = Hand(tmp_path, 0.0)
    began = hand.slot(15)
    hand.leaves(slot=15)
    hand.waits.commit(began, lambda: {0: "", 1: ""})
    hand.begin(4)
    hand.commit(20, {0: "", 1: ""})
    hand.commit(21, {0: "", 1: ""})
    hand.comes()
    hand.commit(25, {0: "", 1: ""})
    (gap,) = hand.waits.facts()["gaps"]
    assert (hand.begun, gap["first_frame"], gap["last_frame"], gap["missed"]) == (["frame 4"], 4, 4, 1)


def test_on_the_wall_clock_what_was_not_decided_before_it_left_does_not(tmp_path: Path) -> None:
    hand = Hand(tmp_path, 0.0)
    began = hand.slot(15)
    hand.leaves(slot=15)
    hand.waits.commit(began, lambda: {0: "late", 1: ""})
    hand.comes()
    hand.commit(20, {1: ""})
    (gap,) = hand.waits.facts()["gaps"]
    assert (gap["first_frame"], gap["last_frame"], gap["missed"]) == (3, 4, 2), (
        "of an edge server that said nothing, too"
    )
    assert hand.texts("gap") == [], "it is not over"


def test_one_that_came_and_left_undecided_is_the_same_gap(tmp_path: Path) -> None:
    hand = Hand(tmp_path, 0.0)
    hand.leaves(slot=12)
    hand.commit(15, {0: "", 1: ""})
    hand.comes()
    hand.leaves(slot=17)
    hand.commit(20, {0: "", 1: ""})
    (gap,) = hand.waits.facts()["gaps"]
    assert (gap["first_frame"], gap["last_frame"], gap["missed"]) == (3, 4, 2)


def test_a_reset_begins_the_count_again_and_who_is_missing_is_missing(hand: Hand) -> None:
    hand.leaves()
    hand.commit(15, {0: "", 1: ""})
    hand.waits.begin_again()
    assert hand.waits.facts() == {}
    hand.begin(0)
    assert hand.waits.holding


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("left", True),
        ("left done", True),
        ("said goodbye stopped", True),
        ("its process ended with code -9", False),
        ("no beat for 5.1 s", False),
        ("it was revoked", False),
        ("said Hello again", False),
    ],
)
def test_a_word_is_told_from_a_death(reason: str, word: bool) -> None:
    assert took_leave(reason) == word
