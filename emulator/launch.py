"""Starts the processes of a run, watches them, starts them again where the scenario says so, and ends them.

The only place that spawns.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from agents.errors import AgentError
from bus.client import Client
from bus.credentials import LAUNCHER
from bus.errors import BusError, CallFailed
from bus.messages import BeatAck, NodeStates, Query, RunStatus, Stop, Stopped, ToStart
from bus.swap_messages import NotStarted, Swap, SwapState
from emulator.errors import RunFolderError
from emulator.keys import credential_of, keystore
from emulator.layout import Group, arguments_of, groups, hosted
from emulator.programs import Command, command_of, host_of
from emulator.scenario import Scenario
from emulator.specs import is_program, manifest_of
from emulator.start_order import LOOK_S, Order

INTERRUPTED = 130
MOST_RESTARTS = 20
STATUS_S = 0.25
STATUS_DEADLINE_S = 0.5
BAG = "run.mcap"
SWAPPED = "swapped agent"
"""The kind of child that a swap has started; nobody starts it again."""
ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Child:
    """One process of a run."""

    name: str
    kind: str
    command: Command
    process: subprocess.Popen[bytes]
    log: IO[bytes]
    restarts: int = 0
    pidfd: int = field(default=-1)


class Launcher:
    """The processes of one run."""

    def __init__(self, folder: Path, scenario: Scenario, record: str = "") -> None:
        """Prepare; ``start`` spawns. The resolved scenario must be in the folder already.

        Args:
            folder: The run folder.
            scenario: The resolved scenario.
            record: The encoding of the bag to record into the folder; empty records none.
        """
        self._record = record
        self._folder = folder
        self._scenario = scenario
        self._children: dict[str, Child] = {}
        self._poll = select.poll()
        self._by_fd: dict[int, Child] = {}
        self._client: Client | None = None
        self._order = Order(scenario)
        self._held: list[Group] = []
        self._wanted: set[str] = set()  # agents of swaps that were started
        self._started = False
        self._stop_asked = False  # no Event: its lock would meet itself in a handler that a second signal interrupts
        self.address = ""
        self.notes: list[str] = []
        self.last_words = ""
        """Why the hub ended; it says so where no full disk can swallow it."""

    def start(self) -> None:
        """Start the hub, learn its address, start everyone else; less when interrupted.

        Raises: RunFolderError: the hub could not start; says why.
        """
        arguments = ["--run", str(self._folder.resolve()), *(["--record"] if self._record else [])]
        hub = self._spawn("hub", "hub", _ours("hub", arguments), stdout=subprocess.PIPE)
        self.address = self._address_of(hub)
        if self._is_interrupted():
            return
        self._client = Client(self.address, deadline_s=2.0, credential=credential_of(LAUNCHER))
        for name, kind, arguments in self._recorder():
            self._spawn(name, kind, _ours(kind, [*arguments, "--hub", self.address]))
        self._held = groups(self._scenario)
        self._start_held()

    def _start_held(self) -> None:
        """Start whoever waits for nobody (any more), in order."""
        states = self._node_states() if self._started else NodeStates(())
        self._started = True
        for group in list(self._held):
            if self._is_interrupted():
                return
            nodes = hosted(self._scenario, group.kind, group.first, group.count)
            if not self._order.waits_for(nodes, states):
                self._held.remove(group)
                self._spawn(group.name, group.kind, self._command(group, self.address))

    def ask_for(self, swaps: Iterable[Swap]) -> None:
        """Ask the hub for swaps of agents.

        Raises: RunFolderError: it does not want to; says why.
        """
        for swap in swaps:
            try:
                if self._client is not None:
                    self._client.call("swap", swap, SwapState)
            except CallFailed as error:
                raise RunFolderError(f"swap of edge {', '.join(map(str, swap.edges))}: {error.text}") from None

    def _start_wanted(self, wanted: ToStart) -> None:
        """Start an agent that a swap waits for, or tell the hub why not."""
        if wanted.process in self._wanted:
            return
        self._wanted.add(wanted.process)
        try:
            self._spawn(wanted.process, SWAPPED, self._wanted_command(wanted))
        except (AgentError, RunFolderError) as error:
            self._tell_not_started(wanted.process, str(error))

    def _wanted_command(self, wanted: ToStart) -> Command:
        place, where = _keystore_folder(), (wanted.process, wanted.edge, self.address)
        if is_program(wanted.agent):
            return command_of(manifest_of(wanted.agent), self._folder, *where, place)
        return host_of(wanted.agent, *where, place)

    def _tell_not_started(self, process: str, reason: str) -> None:
        with contextlib.suppress(BusError):
            if self._client is not None:
                self._client.call("not_started", NotStarted(process, reason), BeatAck, STATUS_DEADLINE_S)

    def _node_states(self) -> NodeStates:
        """What the hub knows; nothing while it does not answer."""
        try:
            if self._client is not None:
                return self._client.call("node_states", Query(), NodeStates, STATUS_DEADLINE_S)
        except BusError:
            pass
        return NodeStates(())

    def start_agents(self, address: str) -> None:
        """Start only the agents' processes, for a hub that is there already."""
        for group in groups(self._scenario):
            if group.kind == "agent":
                self._spawn(group.name, group.kind, self._command(group, address))

    def _command(self, group: Group, address: str) -> Command:
        """How to start a member; agents may keep what they learn in the run folder."""
        if group.program:
            manifest = Path(group.program)
            return command_of(manifest, self._folder, group.name, group.first, address, _keystore_folder())
        run = ["--run", str(self._folder.resolve())] if group.kind == "agent" else []
        return _ours(group.kind, [*arguments_of(group), *run, "--hub", address])

    def _recorder(self) -> list[tuple[str, str, list[str]]]:
        if not self._record:
            return []
        bag = self._folder.resolve() / BAG
        return [("recorder", "recorder", ["--out", str(bag), "--encoding", self._record])]

    def watch(self, on_status: Callable[[RunStatus], None]) -> int:
        """Wait for the hub to end, telling how far the run is; returns the run's exit code."""
        hub = self._children["hub"]
        next_status_s = 0.0
        while hub.process.poll() is None:
            if self._is_interrupted():
                self._ask_to_stop()
                return INTERRUPTED
            for fd, _ in self._poll.poll(int((LOOK_S if self._held else STATUS_S) * 1000)):
                self._ended(self._by_fd[fd])
            if self._held and hub.process.poll() is None:
                self._start_held()
            now_s = time.monotonic()
            if now_s >= next_status_s and hub.process.poll() is None:
                next_status_s = now_s + STATUS_S
                status = self.status()
                if status is not None:
                    on_status(status)
                    for wanted in status.to_start:
                        self._start_wanted(wanted)
        code = hub.process.returncode
        if code < 0:
            self.notes.append(f"the hub was killed (signal {-code})")
        return code if code >= 0 else 3

    def status(self) -> RunStatus | None:
        """How far the run is; None when the hub does not answer."""
        if self._client is None:
            return None
        try:
            return self._client.call("run_status", Query(), RunStatus, STATUS_DEADLINE_S)
        except BusError:
            return None

    def interrupt(self) -> None:
        """End the run soon; safe at any time, in a signal handler too."""
        self._stop_asked = True

    def _is_interrupted(self) -> bool:
        return self._stop_asked

    def _ask_to_stop(self) -> None:
        """Ask the hub to end the run now."""
        with contextlib.suppress(BusError):
            if self._client is not None:
                self._client.call("stop", Stop("interrupted", INTERRUPTED), Stopped)

    def pids(self) -> dict[str, int]:
        """Process ids by name, of those that run."""
        return {name: child.process.pid for name, child in self._children.items() if child.process.poll() is None}

    def unreaped(self) -> list[tuple[str, int]]:
        """Names and process ids of all that were not waited for yet; a look at them changes nothing."""
        return [(n, child.process.pid) for n, child in self._children.items() if child.process.returncode is None]

    def close(self) -> None:
        """End every process: first by itself, then by SIGTERM, then by SIGKILL, within the scenario's stop_s."""
        stop_s = self._scenario.deadlines.stop_s
        for number, patience_s in ((None, stop_s * 0.5), (signal.SIGTERM, stop_s * 0.4), (signal.SIGKILL, 5.0)):
            alive = [child for child in self._children.values() if child.process.returncode is None]
            for child in alive:
                if number is not None:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(child.process.pid, number)
            self._await(alive, patience_s)
        hub = self._children.get("hub")
        if hub is not None and hub.process.stdout is not None and hub.process.poll() is not None:
            self.last_words = hub.process.stdout.read().decode(errors="replace").strip()
        for child in self._children.values():
            child.log.close()
            if child.process.stdout is not None:
                child.process.stdout.close()
            if child.pidfd >= 0:
                os.close(child.pidfd)
            if child.command.lent is not None:
                shutil.rmtree(child.command.lent, ignore_errors=True)
        self._children = {}
        if self._client is not None:
            self._client.close()
            self._client = None

    @staticmethod
    def _await(children: list[Child], patience_s: float) -> None:
        end_s = time.monotonic() + patience_s
        for child in children:
            ending = select.poll()
            ending.register(child.pidfd, select.POLLIN)
            if ending.poll(max(0.0, end_s - time.monotonic()) * 1000):
                _reaped(child)

    def _spawn(self, name: str, kind: str, command: Command, stdout: int | None = None) -> Child:
        path = self._folder / "logs" / f"{name}.log"
        try:
            log = path.open("ab")
        except OSError as error:
            raise RunFolderError(f"{path}: {error.strerror}; make room or choose another --out") from None
        process = started(command, stdout if stdout is not None else log, log)
        child = Child(name, kind, command, process, log)
        child.pidfd = os.pidfd_open(process.pid)
        self._poll.register(child.pidfd, select.POLLIN)
        self._by_fd[child.pidfd] = child
        before = self._children.get(name)
        child.restarts = before.restarts + 1 if before is not None else 0
        self._children[name] = child
        return child

    def _address_of(self, hub: Child) -> str:
        """The line with which the hub says where it is."""
        assert hub.process.stdout is not None  # noqa: S101 -- asked for by start()
        end_s = time.monotonic() + self._scenario.deadlines.start_s
        ready: list[Any] = []
        while not ready and time.monotonic() < end_s:
            if self._is_interrupted():
                return ""
            ready, _, _ = select.select([hub.process.stdout], [], [], STATUS_S)
        line = hub.process.stdout.readline().decode().strip() if ready else ""
        if not line.startswith("tcp://"):
            log = self._folder / "logs" / "hub.log"
            said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise RunFolderError(f"the hub did not start: {line or (said or ['it said nothing'])[-1]} (see {log})")
        return line

    def _ended(self, child: Child) -> None:
        """A child ended: tell the hub at once, and start it again where the scenario says so."""
        self._poll.unregister(child.pidfd)
        del self._by_fd[child.pidfd]
        code = _reaped(child)
        os.close(child.pidfd)
        child.pidfd = -1
        if child.kind == SWAPPED:
            self._forget(child, code)
        hub = self._children["hub"].process
        # Who ended well has told the hub by itself; and a hub that is gone answers nobody, which would cost a deadline.
        if child.kind == "hub" or self._client is None or code == 0 or hub.poll() is not None:
            return
        with contextlib.suppress(BusError):
            self._client.report_exit(child.name, child.process.pid, code)
        rule = getattr(self._scenario.restart, child.kind, "never")
        if code != 0 and rule == "on-failure" and child.restarts < MOST_RESTARTS:
            child.log.close()
            self.notes.append(f"{child.name} ended with code {code}; started again")
            self._spawn(child.name, child.kind, child.command)

    def _forget(self, child: Child, code: int) -> None:
        """An agent that a swap had started is gone, and leaves nothing behind; the hub may still wait for it."""
        child.log.close()
        if child.command.lent is not None:
            shutil.rmtree(child.command.lent, ignore_errors=True)
        del self._children[child.name]
        if code != 0:
            self._tell_not_started(child.name, f"ended with code {code}; logs/{child.name}.log has its last words")


def _reaped(child: Child) -> int:
    """The exit code of a child that has ended; what an agent has left behind in its process group ends with it."""
    if child.kind in ("agent", SWAPPED) and child.process.returncode is None:
        # As long as it is not waited for, the number of its group is nobody else's.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.process.pid, signal.SIGKILL)
    return child.process.wait()


def started(command: Command, stdout: int | IO[bytes], stderr: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a process, in a session of its own."""
    return subprocess.Popen(
        command.argv,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env=command.environment,
        cwd=command.folder,
        start_new_session=True,
    )


def _keystore_folder() -> Path | None:
    """Where the keys of the run are; None without keys."""
    store = keystore()
    return None if store is None else store.folder


def _ours(kind: str, arguments: list[str]) -> Command:
    """How one of our own processes is started."""
    environment = {
        **os.environ,
        "EDGERIG_LAUNCHED": str(os.getpid()),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
        "PYTHONUNBUFFERED": "1",
        # One thread each: many processes share the cores, and sums must not depend on how many there are.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    return Command([sys.executable, "-P", "-m", "emulator", "node", "start", kind, *arguments], environment)
