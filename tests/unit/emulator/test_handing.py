"""Who is asked what while a state goes over at an edge server, on both clocks, without a socket."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from bus import agent_wire as wire
from bus.agent_state import pieces_of
from bus.messages import BeatAck
from bus.swap_messages import StateDue, StateHanded
from emulator.nodes.handing import HAND_OVER, Handing
from emulator.nodes.handover import Party
from emulator.nodes.takeover import Turn

OLD, NEW, EPOCH, AT = 7, 9, 2, 4
FORMAT = "toy/1"
(PIECE,) = pieces_of(b"state", FORMAT)
SLOT_S = 2.0


class Table:
    """A gateway's part in it: who was shown a frame, who was told what, and what the hub was asked."""

    def __init__(self, *, paced: bool, needs: bool = False) -> None:
        self.did: list[Any] = []
        self.asks: list[tuple[Any, Callable[[Any], None]]] = []
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.now_s = 0.0
        self.unrewarded: set[int] = set()
        self.peers = {OLD: None, NEW: None}
        process = SimpleNamespace(
            clock=lambda: self.now_s,
            after=lambda seconds, then: self.timers.append((self.now_s + seconds, then)),
            later=lambda then: then(),
            membership=SimpleNamespace(
                ask=lambda _method, asked, _type, then: self.asks.append((asked, then)), peers=self.peers
            ),
        )
        driver = SimpleNamespace(paced=paced, left_s=lambda share: share * SLOT_S - self.now_s if paced else None)
        takeover = SimpleNamespace(
            asked=lambda there: self.did.append(("may decide", there)),
            fail=lambda _turn, why: self.did.append(("fails", why)),
        )
        parties = {who: self.party(who, needs=needs and who == NEW) for who in (OLD, NEW)}
        node: Any = SimpleNamespace(process=process)
        self.handing = Handing(node, 3, driver, takeover, parties.get, self.show)  # type: ignore[arg-type]

    def party(self, who: int, *, needs: bool) -> Party:
        return Party(
            who, FORMAT, needs, lambda said, *_: self.did.append((who, said)), lambda frame: frame in self.unrewarded
        )

    def show(self, _message: Any, _turn: Turn, who: int) -> None:
        if ("shown", who) not in self.did:  # a seat shows a frame once
            self.did.append(("shown", who))

    def begin(self, frame: int = AT, attempt: int = 0) -> None:
        self.handing.ask("seen", Turn(frame, 2 * frame, attempt, NEW, EPOCH, OLD, takes_over=frame == AT))

    def hub(self, known: bool = True) -> Any:
        """The hub answers what it was asked first; returns what that was."""
        asked, then = self.asks.pop(0)
        then(BeatAck(known))
        return asked

    def hear(self, who: int, said: wire.Said) -> bool:
        header = wire.Header(wire.MAGIC, 1, wire.NUMBERS[type(said)], 3, who, EPOCH, AT - 1, 1)
        return self.handing.hear(who, header, said, "")

    def pass_time(self, until_s: float) -> None:
        self.now_s = until_s
        due = [then for at_s, then in self.timers if at_s <= until_s]
        self.timers = [timer for timer in self.timers if timer[0] > until_s]
        for then in due:
            then()

    def shown(self) -> list[int]:
        return [who for what, who in self.did if what == "shown"]


def test_in_lockstep_the_slot_waits_and_the_hub_knows_before_anybody_new_decides() -> None:
    table = Table(paced=False)
    table.unrewarded = {AT - 1}
    table.begin()
    assert (table.did, table.asks) == ([], []), "the reward of the frame before comes first"
    table.unrewarded = set()
    table.handing.look()
    assert table.did == []
    assert table.hub() == StateDue(3, NEW)
    assert table.did == [(OLD, wire.StateQuery(FORMAT, 5.0)), ("shown", OLD)]
    assert table.hear(OLD, PIECE)
    assert table.hear(NEW, wire.StateResult(True))
    assert table.shown() == [OLD]
    handed = table.hub()
    assert handed == StateHanded(3, NEW, AT - 1, "", 5, PIECE.sha256, 0.0)
    assert table.shown() == [OLD, NEW]
    assert table.did[-1] == ("may decide", True)
    table.did.clear()
    table.begin(attempt=1)
    table.begin(AT + 1)
    assert (table.shown(), table.asks) == ([OLD, NEW], []), "and that was that"


def test_a_slot_that_is_computed_again_meanwhile_waits_for_the_same_state() -> None:
    table = Table(paced=False)
    table.begin()
    table.hub()
    table.begin(attempt=1)
    assert [said for who, said in table.did if who == OLD] == [wire.StateQuery(FORMAT, 5.0)]
    table.hear(OLD, PIECE)
    table.hear(NEW, wire.StateResult(True))
    table.hub()
    assert table.shown() == [OLD, NEW]


@pytest.mark.parametrize("needs", [False, True])
def test_in_lockstep_the_deadline_ends_it(needs: bool) -> None:
    table = Table(paced=False, needs=needs)
    table.begin()
    table.hub()
    table.pass_time(5.0)
    assert table.hub().reason == "too late: it was not given within 5 s"
    if needs:
        assert table.did[-1] == ("fails", "no state: too late: it was not given within 5 s")
        assert table.shown() == [OLD]
    else:
        assert table.shown() == [OLD, NEW]
    assert not table.hear(OLD, PIECE)


@pytest.mark.parametrize("needs", [False, True])
@pytest.mark.parametrize("hub", [False, True])
def test_on_the_wall_clock_a_tenth_of_the_slot_ends_it(needs: bool, hub: bool) -> None:
    table = Table(paced=True, needs=needs)
    table.begin()
    assert table.did == [("may decide", True)], "whoever does not decide in time is stood in for, whatever goes over"
    if hub:
        table.hub()
        assert table.shown() == [OLD]
    table.pass_time(HAND_OVER * SLOT_S)
    asked = [asked for asked, _ in table.asks if isinstance(asked, StateHanded)]
    assert [told.reason.partition(":")[0] for told in asked] == ["too late"]
    assert table.shown() == ([OLD] if needs else [OLD, NEW]), "nobody waits for the hub"
    assert needs == (table.did[-1][0] == "fails")


def test_on_the_wall_clock_a_state_that_is_there_in_time_goes_over() -> None:
    table = Table(paced=True)
    table.unrewarded = {AT - 1}  # which is not waited for
    table.begin()
    table.hub()
    table.hear(OLD, PIECE)
    table.hear(NEW, wire.StateResult(True))
    assert table.shown() == [OLD, NEW]
    table.pass_time(10.0)
    assert [told.reason for told, _ in table.asks] == [""]


def test_who_asked_for_a_cold_start_gets_one() -> None:
    table = Table(paced=False)
    table.begin()
    table.hub(known=False)
    assert table.shown() == [OLD, NEW]
    assert not [said for _, said in table.did if isinstance(said, wire.StateQuery)]


def test_the_one_before_dies_without_a_word() -> None:
    table = Table(paced=False)
    table.begin()
    table.hub()
    table.peers.pop(OLD)
    table.pass_time(0.1)
    assert table.hub().reason == "the one before is gone"
    assert table.shown() == [OLD, NEW]


def test_before_frame_0_nobody_remembers_anything() -> None:
    table = Table(paced=False)
    table.handing.ask("seen", Turn(0, 0, 0, NEW, EPOCH, OLD, takes_over=True))
    assert table.asks == []
    assert table.shown() == [OLD, NEW]
