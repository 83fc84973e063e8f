"""An agent of ours on the bus gives its state by calls, and the edge server hears it as if a program had said it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from agents.state_giving import StateGiver
from bus import agent_state
from bus import agent_wire as wire
from bus.agent_state import Pieces
from bus.messages import Failure
from emulator.nodes.asked_state import AskedState

FORMAT, STATE = "toy/1", bytes(range(100))
EPOCH, FRAME, INSTANCE = 2, 39, 7


class Table:
    """Both ends, and what was heard."""

    def __init__(self, policy: Any, *, waits: bool = True) -> None:
        self.heard: list[tuple[tuple[int, ...], wire.Said]] = []
        self.timers: list[Callable[[], None]] = []
        self.methods: dict[str, Callable[[Any], Any]] = {}
        self.wanted = True
        node: Any = SimpleNamespace(serve=lambda name, _asked, handler, _reply: self.methods.update({name: handler}))
        self.giver = StateGiver(node, lambda: policy)
        process: Any = SimpleNamespace(
            asking=lambda *_: SimpleNamespace(ask=self.call), after=lambda _seconds, then: self.timers.append(then)
        )
        peer: Any = SimpleNamespace(call_endpoint="tcp://agent", public_key="", instance=INSTANCE)
        self.asked = AskedState(process, peer, 3, waits=waits, hear=self.hear)
        self.giver.through = FRAME

    def call(self, node: str, method: str, query: Any, _type: Any, _deadline_s: float, then: Any) -> None:
        assert node == "/agent/3"
        if method not in self.methods:
            then(Failure(1, "unknown_method", "no such method"))
            return
        try:
            then(self.methods[method](query))
        except (ValueError, LookupError) as error:
            then(Failure(1, type(error).__name__, str(error)))

    def hear(self, instance: int, header: wire.Header, said: wire.Said, problem: str) -> bool:
        assert (instance, problem) == (INSTANCE, "")
        self.heard.append((header[3:7], said))
        return self.wanted

    def ask(self) -> list[wire.Said]:
        self.asked.party(FORMAT).say(wire.StateQuery(FORMAT, 5.0), EPOCH, FRAME)
        assert {place for place, _ in self.heard} <= {(3, INSTANCE, EPOCH, FRAME)}
        return [said for _, said in self.heard]


def keeper(state: bytes = STATE, state_format: str = FORMAT) -> Any:
    return SimpleNamespace(state_format=state_format, give_state=lambda: state)


@pytest.fixture(autouse=True)
def short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_state, "PIECE_BYTES", 40)


def test_it_is_called_for_one_piece_after_the_other() -> None:
    said = Table(keeper()).ask()
    pieces = Pieces(FORMAT)
    assert [pieces.add(piece) for piece in said if isinstance(piece, wire.StatePiece)] == [None, None, STATE]


def test_in_lockstep_the_worth_of_the_last_frame_is_waited_for_and_on_the_wall_clock_it_is_not() -> None:
    table = Table(keeper())
    table.giver.through = FRAME - 1
    assert table.ask() == []
    table.timers.pop()()
    assert (table.heard, len(table.timers)) == ([], 1)
    table.giver.through = FRAME
    table.timers.pop()()
    assert len(table.heard) == 3
    late = Table(keeper(), waits=False)
    late.giver.through = FRAME - 1
    assert len(late.ask()) == 3


def test_nobody_is_asked_any_more_once_it_is_over() -> None:
    table = Table(keeper())
    table.wanted = False
    assert len(table.ask()) == 1


def test_who_has_no_state_or_cannot_give_it_says_so() -> None:
    def lost() -> bytes:
        raise ValueError("it was lost")

    assert Table(SimpleNamespace()).ask() == [wire.StateResult(False, "it is an agent of ours that has none")]
    broken = SimpleNamespace(state_format=FORMAT, give_state=lost)
    assert Table(broken).ask() == [wire.StateResult(False, "it was lost")]


def test_a_state_may_change_between_two_questions_but_not_between_two_pieces() -> None:
    states = iter([b"a" * 50, b"b" * 50])
    table = Table(SimpleNamespace(state_format=FORMAT, give_state=lambda: next(states)))
    assert b"".join(piece.data for piece in table.ask() if isinstance(piece, wire.StatePiece)) == b"a" * 50
    table.heard.clear()
    assert b"".join(piece.data for piece in table.ask() if isinstance(piece, wire.StatePiece)) == b"b" * 50
