"""A hub and an edge server that are nothing but their side of the agent protocol, and the program that talks to them.

One process, one ROUTER: the program cannot tell, and everything it says can be looked at.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import msgspec
import numpy as np

from agents.manifest import Found
from bus import agent_wire as wire
from bus.errors import DecodeError
from bus.gate import MEMBERS
from bus.keystore import Keystore
from bus.messages import Array, FrameObservation, Query, Setup
from bus.messages import Observation as RentalSeen
from bus.names import HUB
from bus.process import Process
from emulator.assembly import build_network
from emulator.conformance_ours import Ours
from emulator.launch import started
from emulator.model.offloading import Floats
from emulator.model.streams import Stream
from emulator.nodes.seat import Face
from emulator.nodes.seat_faces import DeploymentFace, RentalFace
from emulator.programs import command_of, host_of
from emulator.scenario import Scenario
from emulator.scenario_file import dump, load

BUDGET_S: Final = 2.0
LIVELINESS_S: Final = 2.0
BEAT_S: Final = 0.4
START_S: Final = 10.0
END_S: Final = 3.0
SETTLE_S: Final = 0.1
S = TypeVar("S", bound=wire.Said)


class Failed(Exception):
    """The program does not do what the protocol says; the text says what it did."""


class Heard(NamedTuple):
    """One message of the program: by whom on the ROUTER, header, payload (None: none), why not, when, the key shown."""

    identity: bytes
    header: wire.Header
    said: wire.Said | None
    problem: str
    at_s: float
    key: str


class Session:
    """One start of the program and the conversation with it.

    Args:
        found: Its manifest; or a policy of ours, whose host asks the hub for the scenario.
        edge: The edge server that it is to decide for.
        folder: For its copy and its log.
        clock: ``lockstep`` or ``wall``, as it is told.
        store: The keystore of a run with keys; whoever comes is let in, so that what is shown can be looked at.
    """

    def __init__(
        self, found: Found | Ours, edge: int, folder: Path, clock: str = "lockstep", store: Keystore | None = None
    ) -> None:
        self.found, self.edge, self.clock = found, edge, clock
        self.instance, self.epoch, self.frame = 0, 1, -1
        self.took_s: list[float] = []
        self.beats_s: list[float] = []
        self.busy_until_s = 0.0
        self.face = face_of(found, edge, clock)
        self._folder = folder
        self._log = (folder / "agent.log").open("ab")
        self._inbox: deque[Heard] = deque()
        self._hub = self._edge_server = b""
        self._said: dict[bytes, int] = {}
        self.store = store
        self.shown_key = ""  # with the message taken last
        self.beat_keys: list[str] = []
        self._process = Process("check", keys=store.keys("hub") if store is not None else None)
        if self._process.security is not None:
            self._process.security.gate.admits[MEMBERS] = lambda _key: True
            self._process.answering.forbids = lambda *_: None
        self._process.answering.foreign = self._receive
        if isinstance(found, Ours):
            setup = Setup(dump(found.scenario), 0.0)
            self._process.answering.serve(HUB, "setup", Query, lambda _: setup)
        self.program = self._start()

    # -- the program ---------------------------------------------------------------------------------------------------

    def _start(self) -> subprocess.Popen[bytes]:
        hub, store = self._process.call_endpoint, self.store.folder if self.store is not None else None
        if isinstance(self.found, Ours):
            command = host_of(self.found.spec, "agent-check", self.edge, hub, store)
        else:
            command = command_of(self.found.path, self._folder, "agent-check", self.edge, hub, store)
        self._lent = command.lent
        return started(command, self._log, self._log)

    def kill(self) -> None:
        """End the program without a word."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.program.pid, signal.SIGKILL)
        self.program.wait()

    def pause(self, seconds: float) -> None:
        """Stop the program for a while, in which the hub gives it up."""
        os.killpg(self.program.pid, signal.SIGSTOP)
        self._process.spin(None, seconds)
        self.say(wire.Goodbye("no beat in time", again=True), to_hub=True)
        os.killpg(self.program.pid, signal.SIGCONT)

    def start_again(self) -> None:
        """Start the program once more, after ``kill``."""
        self._inbox.clear()
        self.instance = 0
        self.program = self._start()

    def await_end(self) -> int:
        """The program's exit code.

        Raises: Failed: it goes on.
        """
        if not self._process.spin(lambda: self.program.poll() is not None, END_S):
            raise Failed(f"is still there {END_S:g} s later")
        return int(self.program.returncode)

    def close(self) -> None:
        """End everything."""
        self.kill()
        self._log.close()
        self._process.close()
        if self._lent is not None:
            shutil.rmtree(self._lent, ignore_errors=True)

    # -- in ------------------------------------------------------------------------------------------------------------

    def _receive(self, identity: bytes, frame: bytes, key: str) -> None:
        now_s = self._process.clock()
        try:
            header = wire.header_of(frame)
        except DecodeError as error:
            self._inbox.append(Heard(identity, wire.Header(0, 0, 0, 0, 0, 0, 0, 0), None, str(error), now_s, key))
            return
        said: wire.Said | None = None
        problem = f"version {header.version}, not {wire.PROTOCOL}" if header.version != wire.PROTOCOL else ""
        if not problem:
            try:
                said = wire.said_in(frame, header)
            except DecodeError as error:
                problem = str(error)
        if isinstance(said, wire.Beat):
            self.beats_s.append(now_s)
            self.beat_keys.append(key)
            self._hub = identity
            self.say(wire.BeatAck(header.instance == self.instance), to_hub=True)
            return
        self._inbox.append(Heard(identity, header, said, problem, now_s, key))

    def expect(self, kind: type[S], within_s: float, what: str) -> tuple[Heard, S]:
        """The next message, which must be of a kind.

        Raises: Failed: it is another, or none comes.
        """
        self._process.spin(lambda: bool(self._inbox) or self.program.poll() is not None, within_s)
        self._process.spin(lambda: bool(self._inbox), SETTLE_S)  # its last words may lie unread when it has ended
        if not self._inbox:
            code = self.program.poll()
            raise Failed(f"{what}: " + ("nothing came" if code is None else f"ended with code {code}; see its log"))
        heard = self._inbox.popleft()
        self.shown_key = heard.key
        if not isinstance(heard.said, kind):
            name = heard.problem or type(heard.said).__name__
            raise Failed(f"{what}: expected {kind.__name__}, got {name}")
        return heard, heard.said

    def await_beat(self, within_s: float, what: str) -> str:
        """The key that the next beat is shown under.

        Raises: Failed: none comes.
        """
        before = len(self.beat_keys)
        if not self._process.spin(lambda: len(self.beat_keys) > before, within_s):
            raise Failed(f"{what}: no beat for {within_s:g} s")
        return self.beat_keys[-1]

    def pass_over(self, kind: type[wire.Said], within_s: float) -> None:
        """Wait for the next message, and for those after it as long as they are of a kind; they need not come."""
        self._process.spin(lambda: any(not isinstance(heard.said, kind) for heard in self._inbox), within_s)
        while self._inbox and isinstance(self._inbox[0].said, kind):
            self._inbox.popleft()

    def silence(self, seconds: float, what: str) -> None:
        """Nothing but beats may come for so long.

        Raises: Failed: something does.
        """
        if self._process.spin(lambda: bool(self._inbox), seconds):
            heard = self._inbox.popleft()
            raise Failed(f"{what}: said {heard.problem or type(heard.said).__name__} though nobody asked")
        self.alive(what)

    def alive(self, what: str) -> None:
        """Raises: Failed: the program has ended."""
        code = self.program.poll()
        if code is not None:
            raise Failed(f"{what}: ended with code {code}")

    def settle(self, what: str) -> None:
        """Let it think about something that needs no answer; whatever it says is passed over.

        Raises: Failed: it has ended.
        """
        self._process.spin(lambda: self.program.poll() is not None, SETTLE_S)
        self.alive(what)
        self._inbox.clear()

    # -- out -----------------------------------------------------------------------------------------------------------

    def say(self, said: wire.Said, *, to_hub: bool = False, frame: int = 0, epoch: int = 0) -> None:
        """Say something, as hub or as edge server."""
        self.send(wire.NUMBERS[type(said)], msgspec.msgpack.encode(said), to_hub=to_hub, frame=frame, epoch=epoch)

    def send(self, kind: int, payload: bytes, *, to_hub: bool = False, frame: int = 0, epoch: int = 0) -> None:
        """Send any kind and any bytes."""
        identity = self._hub if to_hub else self._edge_server
        self._said[identity] = self._said.get(identity, 0) + 1
        places = (self.edge, self.instance, epoch, frame, self._said[identity])
        made = wire.HEADER.pack(wire.MAGIC, wire.PROTOCOL, kind, *places) + payload
        self._process.answering.tell(identity, made, "/check", "check", "/agent")

    # -- the conversation ----------------------------------------------------------------------------------------------

    def greeted(self, within_s: float = START_S) -> wire.Hello:
        """Its Hello."""
        heard, hello = self.expect(wire.Hello, within_s, "Hello")
        self._hub = heard.identity
        if heard.header.edge != self.edge:
            raise Failed(f"Hello: wants edge {heard.header.edge}, but EDGERIG_INDEX is {self.edge}")
        return hello

    def accept(self) -> None:
        """Give it a lease; it joins."""
        self.instance += 0x1234
        address = self._process.call_endpoint
        accepted = wire.Accepted(f"/agent/{self.edge}", address, BEAT_S, LIVELINESS_S, self._process.public_key)
        self.say(accepted, to_hub=True)
        heard, _ = self.expect(wire.Join, START_S, "Join")
        self._edge_server = heard.identity
        if (heard.header.edge, heard.header.instance) != (self.edge, self.instance):
            raise Failed(f"Join: shows edge {heard.header.edge}, instance {heard.header.instance}")

    def warm_up(self) -> None:
        """Setup and warm-up, as an edge server does it, until it is active."""
        self.say(self.face.setup)
        self.say(wire.State("warm-up"))
        for number in range(self.face.setup.warmup_frames):
            self.say(self.face.shown(self.face.made_up(number), warm_up=True), frame=number)
            self._judged(0, number, f"warm-up {number}")
        self.say(wire.State("ready"))
        self.say(wire.State("active"), epoch=self.epoch)

    def begin(self) -> Session:
        """From its Hello until it is active."""
        self.greeted()
        self.accept()
        self.warm_up()
        return self

    def shown(self, frame: int) -> wire.Said:
        """What it is shown in a frame: the same in every session."""
        return drawn(self.face, self.edge, frame)

    def decide(self, change: Callable[[wire.Said], bytes] | None = None) -> wire.Said:
        """One more frame; ``change`` makes the payload of an observation.

        Raises: Failed: it does not decide, or not well.
        """
        self.frame += 1
        said = self.shown(self.frame)
        kind = wire.NUMBERS[type(said)]
        payload = msgspec.msgpack.encode(said) if change is None else change(said)
        self.send(kind, payload, frame=self.frame, epoch=self.epoch)
        decided = self._judged(self.epoch, self.frame, f"frame {self.frame}")
        if self.face.setup.world == "offloading":
            self.say(wire.Reward(1.0, 1.0, 2.0), frame=self.frame, epoch=self.epoch)
        return decided

    def at_rate(self, rate_hz: float, frames: int) -> None:
        """Frames at a rate, whether or not the one before was answered; all answers must come within the budget.

        Raises: Failed: one is missing, late, or no good.
        """
        first, asked_s = self.frame + 1, [0.0] * frames
        begin_s = self._process.clock()
        for k in range(frames):
            self._process.spin(None, begin_s + k / rate_hz - self._process.clock())
            asked_s[k] = self._process.clock()
            self.say(self.shown(first + k), frame=first + k, epoch=self.epoch)
        self.frame += frames
        for k in range(frames):
            heard, said = self.expect(self.face.decides, BUDGET_S, f"frame {first + k} at {rate_hz:g} a second")
            took_s = heard.at_s - asked_s[k]
            self.took_s.append(took_s)
            if heard.header.frame != first + k or self.face.refusal(said):
                raise Failed(f"frame {first + k} at {rate_hz:g} a second: got {said} for frame {heard.header.frame}")
            if took_s > BUDGET_S:
                raise Failed(f"frame {first + k} at {rate_hz:g} a second took {took_s:.2f} s")

    def _judged(self, epoch: int, frame: int, what: str) -> wire.Said:
        asked_s = self._process.clock()
        heard, said = self.expect(self.face.decides, BUDGET_S, what)
        self.took_s.append(heard.at_s - asked_s)
        where, wanted = heard.header[3:7], (self.edge, self.instance, epoch, frame)
        if where != wanted:
            raise Failed(f"{what}: edge, instance, epoch, frame are {where}, not {wanted}")
        reason = self.face.refusal(said)
        if reason:
            raise Failed(f"{what}: {reason}: {wire.REASONS[reason]}")
        return said


def face_of(found: Found | Ours, edge: int, clock: str) -> Face:
    """What it is asked."""
    scenario = found.scenario if isinstance(found, Ours) else _scenario_for(found, edge)
    slot_wall_s = None if clock == "lockstep" else 1.0
    if scenario.rental is None:
        return DeploymentFace(scenario, slot_wall_s, edge, build_network(scenario))
    return RentalFace(scenario, slot_wall_s, edge, scenario.rental.units)


def drawn(face: Face, edge: int, frame: int) -> wire.Said:
    """What an agent is shown in a frame, of either world."""
    setup, draw = face.setup, Stream(7, "/check", "counts", draws=4096).generator(frame)
    if setup.world == "offloading":
        counts: Floats = np.floor(draw.random((setup.slots_per_frame, len(setup.service_bytes))) * 4.0)
        return face.shown(FrameObservation(edge, frame, Array.of(counts)))
    values = draw.random(5) * np.array([2.0, 20.0, 10.0, 3.0, 24.0])
    return face.shown(RentalSeen(edge, Array.of(values)))


def _scenario_for(found: Found, edge: int) -> Scenario:
    """The shipped quickstart of a program's world, with as many edge servers and services as are needed."""
    world, services = found.manifest.world, found.manifest.services
    name = "quickstart" if world == "offloading" else "quickstart-rental"
    changes = [f"agent.decision_budget_s={BUDGET_S}"]
    if world == "offloading":
        changes += [f"edges.count={max(5, edge + 1)}"]
        changes += [f"services.count={services}"] if isinstance(services, int) else []
    return load(name, changes)
