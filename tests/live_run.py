"""A run as people start it, as real processes: watched from outside, hurt, and looked after.

Every process of a run inherits a mark in its environment, so that what survives it is found, whoever started it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bus.client import Client
from bus.errors import BusError
from bus.messages import Query, RunStatus, Stop, Stopped, Vitals
from emulator.folder import read_table

ROOT = Path(__file__).parents[1]
MARK = "EDGERIG_TEST_MARK"
PATIENCE_S = 60.0
"""For what takes a second on an idle machine; the machine may be anything but idle."""

SMALL = """
name = "small"
seed = 20
frames = 100000
slots_per_frame = 5
[edges]
count = 2
storage_bytes = 1e9
[services]
count = 6
[scheduler]
backend = "numpy"
"""


def until(condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """Wait for what other processes do, and return what the condition says of it."""
    end_s = time.monotonic() + patience_s
    pause = threading.Event()
    while not (found := condition()):
        assert time.monotonic() < end_s, f"not within {patience_s:g} s: {what}"
        pause.wait(0.02)
    return found


def edgerig(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start a command, in a session of its own as a shell would."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **options.pop("env", {})}
    command = [sys.executable, "-m", "emulator", *arguments]
    return subprocess.Popen(command, env=environment, start_new_session=True, **options)


def finished(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    child = edgerig(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    try:
        out, err = child.communicate(timeout=2 * PATIENCE_S)
    finally:
        child.kill()
    return subprocess.CompletedProcess(arguments, child.returncode, out.decode(), err.decode())


def marked(mark: str) -> list[int]:
    """Processes that carry a mark and are not zombies."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if f"{MARK}={mark}".encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
    return found


class LiveRun:
    """``edgerig run`` of a scenario, in a folder."""

    def __init__(self, folder: Path, scenario: str = SMALL, *arguments: str, name: str = "run", **env: str) -> None:
        self.out = folder / name
        self.mark = uuid.uuid4().hex
        self.env = {MARK: self.mark, **env}
        source = folder / f"{name}.toml"
        source.write_text(scenario)
        self._stdout = (folder / f"{name}.stdout").open("w+b")
        self._stderr = (folder / f"{name}.stderr").open("w+b")
        self.launcher = edgerig(
            "run", str(source), "--out", str(self.out), "--json", *arguments,
            stdout=self._stdout, stderr=self._stderr, env=self.env, cwd=folder,
        )  # fmt: skip
        self.helpers: list[subprocess.Popen[bytes]] = []

    # -- what it tells -------------------------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        return str(self.until(lambda: self._hub_json(), "the hub says where it is")["hub"])

    def _hub_json(self) -> dict[str, Any]:
        path = self.out / "hub.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def until(self, condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
        """Wait for something of this run; if the run ends before it, say how."""

        def holds() -> Any:
            found = condition()
            assert found or self.launcher.poll() is None, f"ended ({self.launcher.poll()}) before: {what}\n{self.log()}"
            return found

        return until(holds, what, patience_s)

    def log(self) -> str:
        texts = [self.stderr(), *(path.read_text(errors="replace")[-600:] for path in self.out.glob("logs/*.log"))]
        return "\n".join(texts)[-6000:]

    def status(self) -> RunStatus | None:
        with contextlib.suppress(BusError), Client(self.address, PATIENCE_S) as client:
            return client.call("run_status", Query(), RunStatus)
        return None

    def members(self) -> set[str]:
        status = self.status()
        return set(status.members) if status is not None else set()

    def slot(self) -> int:
        status = self.status()
        return status.slot if status is not None else -1

    def is_busy(self, process: str) -> bool:
        """Whether the hub knows a process to be at work for longer; of an agent that learns, that is learning."""
        with Client(self.address, PATIENCE_S) as client:
            vitals = client.call("vitals", Query(), Vitals)
        return any(found.process == process and found.state == "busy" for found in vitals.processes)

    def came_back(self, process: str) -> int:
        """The slot from which on a process that died takes part again, as the hub's notes say."""
        status = self.status()
        assert status is not None
        return int(re.findall(rf"{process} takes part from slot (\d+) on", " ".join(status.notes))[-1])

    def pid(self, process: str) -> int:
        """The process id of a member that is registered."""
        if process == "hub":
            return int(self._hub_json()["pid"])
        found: list[int] = []

        def registered() -> bool:
            with Client(self.address, PATIENCE_S) as client:
                found.extend(peer.pid for peer in client.peers() if peer.process == process)
            return bool(found)

        self.until(registered, f"{process} to be registered")
        return found[0]

    # -- what is done to it --------------------------------------------------------------------------------------------

    def go_on(self, slots: int = 10) -> int:
        """Wait until it has done some slots more; returns the slot it is in then."""
        goal = self.slot() + slots
        self.until(lambda: self.slot() >= goal, f"slot {goal}")
        return goal

    def after(self, seconds: float) -> None:
        """Let a moment pass; the run must not end in it."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            raise AssertionError(f"ended with {self.launcher.wait(seconds)}\n{self.log()}")

    def kill(self, process: str, number: int = signal.SIGKILL) -> int:
        """Send a signal to one process of the run."""
        pid = self.pid(process)
        os.kill(pid, number)
        return pid

    def signal(self, pid: int, number: int) -> None:
        """Send a signal to a process that may not answer."""
        os.kill(pid, number)

    def helper(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A command by hand, as ``edgerig node start edge --edge 3``; it is the run's to end it."""
        child = edgerig(*arguments, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.helpers.append(child)
        return child

    def stop(self, code: int = 0) -> dict[str, Any]:
        """Let the hub end the run, and return the summary."""
        with Client(self.address, PATIENCE_S) as client:
            client.call("stop", Stop("the test is over", code), Stopped)
        assert self.wait() == code, self.log()
        return self.summary()

    def wait(self, patience_s: float = PATIENCE_S) -> int:
        return self.launcher.wait(patience_s)

    # -- what is left of it --------------------------------------------------------------------------------------------

    def summary(self) -> dict[str, Any]:
        return json.loads((self.out / "summary.json").read_text())

    def slots(self) -> dict[str, list[float]]:
        return read_table(self.out / "slots.csv")

    def stdout(self) -> str:
        return Path(self._stdout.name).read_text(errors="replace")

    def stderr(self) -> str:
        return Path(self._stderr.name).read_text(errors="replace")

    def survivors(self) -> list[int]:
        return marked(self.mark)

    def nobody_left(self, patience_s: float = PATIENCE_S) -> None:
        """Wait until no process of the run lives."""
        for child in self.helpers:
            child.poll()
        until(lambda: not self.survivors(), f"processes {self.survivors()} end", patience_s)

    def close(self) -> list[int]:
        """End whatever lives; returns what should not have, once the launcher had ended."""
        alone = self.launcher.poll() is not None
        own = {self.launcher.pid, *(child.pid for child in self.helpers)}
        left = [pid for pid in self.survivors() if pid not in own] if alone else []
        for pid in self.survivors():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
                os.kill(pid, signal.SIGKILL)
        for child in [self.launcher, *self.helpers]:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            child.wait(PATIENCE_S)
            for pipe in (child.stdout, child.stderr):
                if pipe is not None:
                    pipe.close()
        self._stdout.close()
        self._stderr.close()
        return left
