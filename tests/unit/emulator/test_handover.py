"""One hand-over of a state, without a socket: every way in which it ends, and that it ends once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bus import agent_wire as wire
from bus.agent_state import pieces_of
from emulator.nodes.handover import NOBODY, Handover, Outcome, Party

OLD, NEW, OTHER = 7, 9, 11
EPOCH, FRAME = 2, 39
FORMAT = "toy/1"
PIECES = list(pieces_of(bytes(2**19 + 1), FORMAT))


class Table:
    """A hand-over with its two agents, and what each was told."""

    def __init__(self, given: str | None = FORMAT) -> None:
        self.said: list[tuple[int, wire.Said]] = []
        self.ended: list[Outcome] = []
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.now_s = 10.0
        giver = None if given is None else self.party(OLD, given)
        self.one = Handover(EPOCH, FRAME, giver, self.party(NEW, FORMAT), lambda: self.now_s, self.ended.append)
        self.one.begin(5.0, lambda seconds, then: self.timers.append((seconds, then)))

    def party(self, instance: int, state_format: str) -> Party:
        def say(said: wire.Said, epoch: int, frame: int) -> None:
            assert (epoch, frame) == (EPOCH, FRAME)
            self.said.append((instance, said))

        return Party(instance, state_format, False, say, lambda _frame: False)

    def hear(self, instance: int, said: wire.Said | None, epoch: int = EPOCH, frame: int = FRAME) -> bool:
        return self.one.hear(instance, wire.Header(wire.MAGIC, 1, 27, 0, instance, epoch, frame, 1), said, "no map")

    def reason(self) -> str:
        (outcome,) = self.ended
        return outcome.reason


def test_it_is_asked_for_checked_given_and_in_place() -> None:
    table = Table()
    assert table.said == [(OLD, wire.StateQuery(FORMAT, 5.0))]
    assert [table.hear(OLD, piece) for piece in PIECES] == [True, True]
    assert table.said[1:] == [(NEW, piece) for piece in PIECES]
    table.now_s = 10.25
    assert table.ended == []
    assert table.hear(NEW, wire.StateResult(True))
    assert table.ended == [Outcome("", 2**19 + 1, PIECES[0].sha256, 0.25)]
    for late in [table.timers[0][1], lambda: table.one.gone(NEW), lambda: table.one.end("again")]:
        late()
    assert len(table.ended) == 1


def test_nothing_is_given_before_all_of_it_is_there_and_right() -> None:
    table = Table()
    table.hear(OLD, PIECES[0])
    assert [instance for instance, _ in table.said] == [OLD]
    table.hear(OLD, wire.StatePiece(FORMAT, PIECES[1].size_bytes, PIECES[1].sha256, PIECES[1].offset, b"x"))
    assert table.reason().startswith("wrong hash")
    assert [instance for instance, _ in table.said] == [OLD]
    assert not table.hear(OLD, PIECES[1])


@pytest.mark.parametrize(
    ("given", "why"), [(None, NOBODY), ("", "gives no state"), ("x", "of the format 'x', not 'toy/1'")]
)
def test_where_there_is_nothing_to_ask_for_it_is_over_at_once(given: str | None, why: str) -> None:
    table = Table(given)
    assert why in table.reason()
    assert (table.said, table.timers) == ([], [])


def test_the_deadline_is_for_both_halves() -> None:
    table = Table()
    ((seconds, then),) = table.timers
    assert seconds == 5.0
    then()
    assert table.reason() == "too late: it was not given within 5 s"
    table = Table()
    for piece in PIECES:
        table.hear(OLD, piece)
    table.timers[0][1]()
    assert table.reason() == "too late: it was given, but not taken within 5 s"


def test_either_says_no_or_is_gone() -> None:
    for half, steps in enumerate(([], PIECES)):
        for ends, why in (
            (lambda table, who: table.hear(who, wire.StateResult(False, "so")), ("gives none: so", "not take it: so")),
            (lambda table, who: table.one.gone(who), ("the one before is gone", "the one that comes is gone")),
            (lambda table, who: table.hear(who, None), ("malformed: no map",) * 2),
        ):
            table = Table()
            for piece in steps:
                table.hear(OLD, piece)
            ends(table, (OLD, NEW)[half])
            assert table.reason().endswith(why[half])


def test_the_one_before_may_go_once_it_has_given_it() -> None:
    table = Table()
    for piece in PIECES:
        table.hear(OLD, piece)
    table.one.gone(OLD)
    assert table.ended == []
    table.hear(NEW, wire.StateResult(True))
    assert table.reason() == ""


def test_who_was_not_asked_is_not_heard() -> None:
    table = Table()
    assert not table.hear(OTHER, PIECES[0])
    assert not table.hear(NEW, wire.StateResult(True))
    assert not table.hear(OLD, PIECES[0], epoch=1)
    assert not table.hear(OLD, PIECES[0], frame=38)
    for piece in PIECES:
        assert table.hear(OLD, piece)
    assert not table.hear(NEW, PIECES[0])
    assert not table.hear(OLD, wire.StateResult(True))
    table.one.cancel()
    table.timers[0][1]()
    assert table.ended == []
