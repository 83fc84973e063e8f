"""The check of an agent that gives and takes a state: its second life goes on where the first one was."""

from __future__ import annotations

from typing import Final

from bus import agent_wire as wire
from bus.agent_state import DEADLINE_S, STATE, Pieces, StateError, pieces_of
from emulator.conformance import Failed, Session

BEFORE: Final = 6
AFTER: Final = 6
"""Frames of the first life, and of the second, which the first decides, too."""


def state(session: Session) -> str | None:
    """It says what its manifest does, gives its state, refuses a changed one, and takes the true one."""
    declared = session.found.manifest.state
    if declared is None:
        return None
    hello = session.greeted()
    said = (STATE in hello.capabilities, hello.state_format, hello.needs_state)
    if said != (True, declared.format, declared.needs):
        raise Failed(f"Hello: capability, state_format, needs_state are {said}, not as in the manifest")
    session.accept()
    session.warm_up()
    for _ in range(BEFORE):
        session.decide()
    given = _given(session, declared.format)
    first = [session.decide() for _ in range(AFTER)]
    session.kill()
    session.start_again()
    session.frame = BEFORE - 1
    session.begin()
    true = list(pieces_of(given, declared.format))
    changed = wire.StatePiece(declared.format, 1, "0" * 64, 0, b"x")
    if _taken(session, [changed]).done:
        raise Failed("StatePiece: took a state whose hash was wrong")
    result = _taken(session, true)
    if not result.done:
        raise Failed(f"StatePiece: does not take what it gave itself: {result.reason}")
    second = [session.decide() for _ in range(AFTER)]
    if session.found.manifest.deterministic and second != first:
        raise Failed(f"with its state it decides {second} in its second life, not {first} as in its first")
    return f"{len(given):,} bytes given and taken, a wrong hash refused, {AFTER} frames decided with it"


def _given(session: Session, state_format: str) -> bytes:
    session.say(wire.StateQuery(state_format, DEADLINE_S), frame=session.frame, epoch=session.epoch)
    pieces = Pieces(state_format)
    while True:
        heard, piece = session.expect(wire.StatePiece, DEADLINE_S, "StateQuery")
        if (heard.header.epoch, heard.header.frame) != (session.epoch, session.frame):
            raise Failed(f"StatePiece: epoch, frame are {heard.header[5:7]}, not those of the question")
        try:
            found = pieces.add(piece)
        except StateError as error:
            raise Failed(f"StatePiece: {error}") from None
        if found is not None:
            return found


def _taken(session: Session, pieces: list[wire.StatePiece]) -> wire.StateResult:
    for piece in pieces:
        session.say(piece, frame=session.frame, epoch=session.epoch)
    _, result = session.expect(wire.StateResult, DEADLINE_S, "StatePiece")
    return result
