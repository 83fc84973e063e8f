"""What a program must do to be an agent, one check after the other; each says what was seen, or raises ``Failed``."""

from __future__ import annotations

import math
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np

from agents.manifest import Found
from bus import agent_wire as wire
from bus.keystore import Keystore, is_key
from emulator.conformance import BEAT_S, END_S, LIVELINESS_S, START_S, Failed, Session
from emulator.conformance_ours import Ours
from emulator.conformance_state import state

DECISIONS: Final = 20
LOAD_S: Final = 3.0
RETRY_S: Final = 0.3
IMPOSSIBLE: Final = (math.nan, math.inf, -math.inf, -1.0, 1e300, 2.0**63, 0.5)
EARLY_S: Final = 0.05
"""A clock that differs, or a poll that rounds, is no fault."""


class Finding(NamedTuple):
    """One check: its name, whether it passed (None: it does not apply), and what was seen."""

    name: str
    passed: bool | None
    detail: str


def check(found: Found | Ours, edge: int, jobs: int = 1) -> Iterator[Finding]:
    """Run every check on a program, each with a program that was started for it.

    Args:
        found: Its manifest, or a policy of ours.
        edge: The edge server that it is to decide for.
        jobs: Checks at a time: most of what they do is to wait. That of the load is alone, and comes first.
    """
    alone = {name: check_one(found, edge, name) for name in CHECKS if CHECKS[name] is load}
    with ThreadPoolExecutor(jobs) as pool:
        others = {name: pool.submit(check_one, found, edge, name) for name in CHECKS if name not in alone}
        for name in CHECKS:
            yield alone[name] if name in alone else others[name].result()


def check_one(found: Found | Ours, edge: int, name: str) -> Finding:
    """Run one check."""
    run = CHECKS[name]
    with tempfile.TemporaryDirectory(prefix="edgerig-check-") as folder:
        store = Keystore.create(Path(folder) / "keys") if run is keys else None
        session = Session(found, edge, Path(folder), "wall" if run is wall_clock else "lockstep", store)
        try:
            detail = run(session)
            return Finding(name, None if detail is None else True, detail or "not claimed by the manifest")
        except Failed as failed:
            log = (Path(folder) / "agent.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
            return Finding(name, False, f"{failed}" + (f" | its log ends: {log[-1]}" if log else ""))
        finally:
            session.close()


def handshake(session: Session) -> str:
    """Hello as the manifest says, again after the time it is told, then Join."""
    manifest = session.found.manifest
    hello = session.greeted()
    role = "deployment" if manifest.world == "offloading" else "rental"
    for field, wanted in (("role", role), ("world", manifest.world), ("process", "agent-check")):
        if getattr(hello, field) != wanted:
            raise Failed(f"Hello: {field} is {getattr(hello, field)!r}, not {wanted!r}")
    if hello.pid != session.program.pid:
        raise Failed(f"Hello: pid is {hello.pid}, not {session.program.pid}")
    session.say(wire.Refused("held", "somebody else is there", 1, RETRY_S), to_hub=True)
    session.silence(RETRY_S - EARLY_S, f"after Refused with retry_s = {RETRY_S:g}")
    session.greeted()
    session.accept()
    return f"{hello.name} {hello.version}".strip()


def keys(session: Session) -> str | None:
    """The right key at each place, and another pair for another lease."""
    if not session.found.manifest.keys:
        return None
    assert session.store is not None  # noqa: S101 -- this check is given one
    pairs: list[str] = []
    for what in ("Hello", "Hello after Goodbye"):
        session.pass_over(wire.Goodbye, START_S)  # the one with which it gives its lease up
        hello = session.greeted()
        if session.shown_key != session.store.public("agent"):
            raise Failed(f"{what}: not shown under the key of the role agent")
        if not is_key(hello.public_key) or hello.public_key in (*pairs, session.shown_key):
            raise Failed(f"{what}: public_key is not that of a fresh pair of its own")
        pairs.append(hello.public_key)
        session.accept()
        if session.shown_key != pairs[-1]:
            raise Failed("Join: not shown under the pair of its Hello")
        if session.await_beat(LIVELINESS_S, "after Accepted") != pairs[-1]:
            raise Failed("Beat: not shown under the pair of its Hello")
        session.warm_up()
        session.decide()
        session.say(wire.Goodbye("given up", again=True), to_hub=True)
    return "the role's key for Hello, a pair of its own for each lease"


def decisions(session: Session) -> str:
    """Warm-up and frames on the clock of lockstep."""
    session.begin()
    for _ in range(DECISIONS):
        session.decide()
    return f"{DECISIONS} decisions, {_times(session)}"


def wall_clock(session: Session) -> str:
    """The same told that time does not wait, after an observation that was skipped."""
    session.begin()
    session.decide()
    session.frame += 3
    for _ in range(3):
        session.decide()
    return f"frames may be missing, {_times(session)}"


def beats(session: Session) -> str:
    """A beat comes often enough, asked or not."""
    session.begin()
    for _ in range(2):
        session.decide()
        session.silence(2.0 * LIVELINESS_S / 2.0, "between two frames")
    gaps = np.diff(session.beats_s)
    if not len(gaps) or gaps.max() > LIVELINESS_S:
        raise Failed(f"beats: the longest gap is {gaps.max() if len(gaps) else math.inf:.2f} s of {LIVELINESS_S:g} s")
    return f"{len(session.beats_s)} beats, at most {gaps.max():.2f} s apart (asked for {BEAT_S:g} s)"


def unknown(session: Session) -> str:
    """Keys and kinds of later versions are passed over."""
    session.begin()
    more = {"zz": [1, {"a": None}], "b": True, "c": -5, "d": 1.5, "e": b"\1", "f": "x" * 300, "g": [0] * 20}
    session.decide(
        lambda said: msgspec.msgpack.encode({"0": 0, **msgspec.to_builtins(said, builtin_types=(bytes,)), **more})
    )
    session.send(999, msgspec.msgpack.encode({"what": 1}))
    session.say(wire.State("a-state-of-later"))
    session.send(wire.NUMBERS[wire.BeatAck], msgspec.msgpack.encode({"known": True, "more": 1}), to_hub=True)
    session.decide()
    return "keys, kinds and states that are not known were passed over"


def malformed(session: Session) -> str:
    """Observations that are none: it may say nothing or anything, but must live and decide the next frame."""
    session.begin()
    kind = wire.NUMBERS[type(session.shown(0))]
    whole = msgspec.msgpack.encode(session.shown(0))
    bad = [b"", b"\xc1", b"\x93\1\2\3", b"\x80", whole[: len(whole) // 2], b"\x81\xa6counts\xa3abc"]
    if session.face.setup.world == "offloading":
        bad.append(msgspec.msgpack.encode(wire.Observation(5, 3, bytes(7))))
        bad.append(msgspec.msgpack.encode(wire.Observation(2**31, 2**31, bytes(64))))
    for payload in bad:
        _survives(session, kind, payload, "a malformed observation")
    session.decide()
    return f"{len(bad)} malformed observations, and the frame after them was decided"


def out_of_range(session: Session) -> str:
    """Numbers that cannot be: the same."""
    session.begin()
    for value in IMPOSSIBLE:
        said = impossible(session.shown(0), value)
        _survives(session, wire.NUMBERS[type(said)], msgspec.msgpack.encode(said), f"an observation of {value}")
    session.decide()
    return f"{len(IMPOSSIBLE)} impossible numbers, and the frame after them was decided"


def impossible(said: wire.Said, value: float) -> wire.Said:
    """An observation with a number in it that cannot be."""
    if isinstance(said, wire.Observation):
        counts = np.full(len(said.counts) // 8, value)
        return msgspec.structs.replace(said, counts=counts.astype("<f8").tobytes())
    return msgspec.structs.replace(said, users=value, delay_s=value)


def _survives(session: Session, kind: int, payload: bytes, what: str) -> None:
    session.frame += 1
    session.send(kind, payload, frame=session.frame, epoch=session.epoch)
    session.settle(what)


def refusals(session: Session) -> str:
    """A decision that is refused, also after the deadline, is not the end."""
    session.begin()
    for reason in ("late", "infeasible", "malformed", "a-reason-of-later"):
        session.decide()
        session.say(wire.Refused(reason, "so says the check", 1), frame=session.frame, epoch=session.epoch)
    session.decide()
    return "4 refusals, and the frame after each was decided"


def epochs(session: Session) -> str:
    """A new binding's epoch is repeated; a lease that is lost leads to a new Hello, and no answer to the old one."""
    session.begin()
    session.decide()
    session.epoch = 7
    session.say(wire.State("active"), epoch=7)
    session.decide()
    session.say(wire.Refused("stale_epoch", "this binding is over", 1), frame=session.frame, epoch=7)
    session.greeted()
    session.accept()
    session.warm_up()
    session.decide()
    return "epoch 7 was repeated; after stale_epoch it greeted and decided again"


def again(session: Session) -> str:
    """A lease that is lost, or a Goodbye that says so, leads to a new Hello."""
    session.begin()
    session.decide()
    session.say(wire.BeatAck(False), to_hub=True)
    session.greeted()
    session.accept()
    session.warm_up()
    session.decide()
    session.say(wire.Goodbye("another is bound", again=True))
    session.greeted()
    return "greeted again after both"


def paused(session: Session) -> str:
    """Stopped for longer than its lease lasts, and continued: it hears that it was given up, and greets again."""
    session.begin()
    session.decide()
    session.pause(3.0 * LIVELINESS_S)
    session.greeted()
    session.accept()
    session.warm_up()
    session.decide()
    return f"stopped for {3.0 * LIVELINESS_S:g} s, greeted again and decided"


def reset(session: Session) -> str:
    """Time may begin again."""
    session.begin()
    first = session.decide()
    session.decide()
    session.say(wire.Reset(5))
    session.frame = -1
    if session.decide() != first and session.found.manifest.deterministic:
        raise Failed("after Reset it decides frame 0 otherwise than at first")
    return "frame 0 was decided again"


def restart(session: Session) -> str:
    """Killed in the middle, it starts anew."""
    session.begin()
    session.decide()
    session.kill()
    session.start_again()
    session.frame = -1
    session.begin()
    session.decide()
    return "killed after a decision; the next start greeted and decided"


def load(session: Session) -> str:
    """As many frames a second as its manifest says."""
    rate_hz = session.found.manifest.max_rate_hz
    session.begin()
    session.took_s.clear()
    session.at_rate(rate_hz, int(LOAD_S * rate_hz))
    return f"{rate_hz:g} a second for {LOAD_S:g} s, {_times(session)}"


def determinism(session: Session) -> str | None:
    """If it claims so: shown the same twice, from its start on, it decides the same."""
    if not session.found.manifest.deterministic:
        return None
    session.begin()
    first = [session.decide() for _ in range(DECISIONS)]
    session.kill()
    session.start_again()
    session.frame = -1
    session.begin()
    for frame, before in enumerate(first):
        now = session.decide()
        if now != before:
            raise Failed(f"frame {frame}: decided {before} in its first life and {now} in its second")
    return f"{DECISIONS} frames in two lives, decided alike"


def goodbye(session: Session) -> str:
    """Goodbye ends it with 0; so does SIGTERM, and it says Goodbye."""
    session.begin()
    session.decide()
    session.say(wire.State("draining"))
    session.say(wire.Goodbye("done"))
    code = session.await_end()
    if code != 0:
        raise Failed(f"Goodbye: ended with code {code}, not 0")
    session.start_again()
    session.begin()
    os.killpg(session.program.pid, signal.SIGTERM)
    session.expect(wire.Goodbye, END_S, "SIGTERM")
    code = session.await_end()
    if code != 0:
        raise Failed(f"SIGTERM: ended with code {code}, not 0")
    return "ended with 0 after Goodbye, and after SIGTERM with a Goodbye of its own"


def _times(session: Session) -> str:
    took_ms = 1e3 * np.array(session.took_s)
    return f"{np.median(took_ms):.2f} ms at the median, {np.percentile(took_ms, 99):.2f} ms at the 99th percentile"


CHECKS: Final[dict[str, Callable[[Session], str | None]]] = {
    "handshake": handshake,
    "keys": keys,
    "decisions": decisions,
    "wall clock": wall_clock,
    "beats": beats,
    "unknown fields": unknown,
    "malformed observations": malformed,
    "out of range": out_of_range,
    "refusals": refusals,
    "stale epoch": epochs,
    "lost lease": again,
    "paused": paused,
    "reset": reset,
    "restart": restart,
    "load": load,
    "determinism": determinism,
    "state": state,
    "goodbye": goodbye,
}
