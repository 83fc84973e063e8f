"""States in pieces: what is put together is what was cut, and nothing else is."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus import agent_state
from bus import agent_wire as wire
from bus.agent_state import MOST_STATE_BYTES, PIECE_BYTES, AgentSide, Pieces, StateError, pieces_of

FORMAT = "toy/1"
STATE = bytes(range(256)) * 5000  # three pieces
PIECES = list(pieces_of(STATE, FORMAT))


class Keeps:
    """Remembers bytes; some mean nothing to it."""

    def __init__(self, state: bytes = b"") -> None:
        self.state = state

    def give_state(self) -> bytes:
        if self.state == b"lost":
            raise ValueError("it was lost")
        return self.state

    def take_state(self, state: bytes) -> None:
        if state == b"nonsense":
            raise ValueError("not mine")
        self.state = state


@given(st.binary(max_size=100), st.integers(1, 40))
def test_what_was_cut_is_put_together(state: bytes, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(agent_state, "PIECE_BYTES", size)
        cut = list(pieces_of(state, FORMAT))
    pieces = Pieces(FORMAT)
    assert [pieces.add(piece) for piece in cut] == [*[None] * (len(cut) - 1), state]
    assert all(len(piece.data) <= size for piece in cut)


def test_every_piece_fits_a_frame_of_an_agent() -> None:
    assert len(PIECES) == 3
    longest = msgspec.structs.replace(PIECES[0], format="f" * agent_state.LONGEST_FORMAT)
    assert len(wire.encode(longest, edge=3)) <= wire.MOST_BYTES
    assert len(PIECES[0].data) == PIECE_BYTES


def test_a_state_may_have_so_many_bytes_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_STATE_BYTES == 64 * 2**20
    monkeypatch.setattr(agent_state, "MOST_STATE_BYTES", 10)
    assert len(list(pieces_of(bytes(10), FORMAT))) == 1
    with pytest.raises(StateError, match="too large: 11 bytes, at most 10"):
        list(pieces_of(bytes(11), FORMAT))


@pytest.mark.parametrize(
    ("number", "change", "why"),
    [
        (0, {"format": "other"}, "wrong format: 'other', not 'toy/1'"),
        (0, {"size_bytes": MOST_STATE_BYTES + 1}, "too large"),
        (0, {"size_bytes": -1}, "too large"),
        (0, {"offset": 1}, "from byte 1 on, not from byte 0 on"),
        (0, {"data": b""}, "from byte 0 on"),
        (1, {"offset": 0}, f"from byte 0 on, not from byte {PIECE_BYTES} on"),
        (1, {"sha256": "0" * 64}, "pieces of different states"),
        (1, {"size_bytes": len(STATE) + 1}, "pieces of different states"),
        (2, {"data": PIECES[2].data + b"x"}, "a piece from byte"),
        (2, {"data": bytes(len(PIECES[2].data))}, "wrong hash"),
    ],
)
def test_pieces_that_are_not_of_one_state_are_refused(number: int, change: dict[str, object], why: str) -> None:
    pieces = Pieces(FORMAT)
    for piece in PIECES[:number]:
        assert pieces.add(piece) is None
    with pytest.raises(StateError, match=why):
        pieces.add(msgspec.structs.replace(PIECES[number], **change))


def test_the_agents_side_gives_and_takes_or_says_why_not() -> None:
    gives, takes = Keeps(STATE), Keeps()
    side, query = AgentSide(FORMAT), wire.StateQuery(FORMAT, 5.0)
    said = [*side.asked(query, gives)]
    assert said == PIECES
    assert [AgentSide(FORMAT).given(piece, takes) for piece in PIECES[:1]] == [None]
    assert [side.given(piece, takes) for piece in PIECES] == [None, None, wire.StateResult(True)]
    assert takes.state == STATE == gives.state
    # A second one, after one that broke off.
    assert side.given(PIECES[0], takes) is None
    (whole,) = pieces_of(b"nonsense", FORMAT)
    assert side.given(whole, takes) == wire.StateResult(False, "not mine")
    assert takes.state == STATE
    assert [*side.asked(query, Keeps(b"lost"))] == [wire.StateResult(False, "it was lost")]
    assert [*side.asked(wire.StateQuery("x", 5.0), gives)] == [
        wire.StateResult(False, "wrong format: 'x', not 'toy/1'")
    ]


def test_who_keeps_no_state_is_never_asked_for_one() -> None:
    nobody = Keeps(b"lost")
    told = wire.StateResult(False, agent_state.NO_STATE)
    assert [*AgentSide("").asked(wire.StateQuery("", 5.0), nobody)] == [told]
    (piece,) = pieces_of(b"x", "")
    assert AgentSide("").given(piece, nobody) == told


def test_a_state_of_no_bytes_is_one() -> None:
    (piece,) = pieces_of(b"", FORMAT)
    assert (piece.data, piece.sha256) == (b"", hashlib.sha256(b"").hexdigest())
    assert AgentSide(FORMAT).given(piece, Keeps(b"old")) == wire.StateResult(True)
