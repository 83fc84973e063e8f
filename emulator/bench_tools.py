"""How long a command takes on a running system of 60 nodes, against the start of Python with what every command needs.

Wires runs together, so it may import upward.
"""

from __future__ import annotations

import json
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from bus.client import Client
from bus.messages import Peer
from emulator import run as runs
from emulator.launch import ROOT, Launcher
from emulator.scenario_file import load

EDGES: Final = 19  # with their cells and agents, the cloud, the scheduler, the hub and the ledger: 61 nodes
GROUPED: Final = (
    "edges.count=19",
    "processes.edge=3",
    "processes.agent=2",
    "frames=1000000",
    "deadlines.liveliness_s=4",
)
PACED: Final = ("clock=wall", "rate=60")  # a slot of quickstart each second, as in a run that somebody watches
BARE: Final = ("-c", "import click, msgspec, zmq")
COMMANDS: Final[dict[str, tuple[str, ...]]] = {
    "node_list": ("node", "list"),
    "node_info": ("node", "info", "/edge/3"),
    "topic_list": ("topic", "list"),
    "topic_info": ("topic", "info", "-v", "/edge/3/outcome"),
    "graph": ("graph",),
    "clock_status": ("clock", "status"),
    "doctor": ("doctor",),
    "topic_echo_once": ("topic", "echo", "--once", "/cell/3/arrivals"),  # latched: there is no sample to wait for
}
SETTLED_S: Final = 5.0
"""After a kill -9 a list must be right within that time."""

Progress = Callable[[str], None]


def _say(text: str) -> None:
    sys.stderr.write(f"bench tools: {text}\n")


def run(*, seed: int = 1, rounds: int = 7, progress: Progress = _say) -> dict[str, float | int | str]:
    """Times each command as a person starts it, in turns with a bare Python.

    Two runs: one paced at a slot a second, whose figures have the bars, and one in lockstep at full speed, which leaves
    a command only a share of a processor.

    Returns: ``ms_<command>``: median wall milliseconds; ``bare_ms``; ``tools_over_bare``: the slowest command over the
        bare start, median of the rounds' ratios; ``nodes``; ``killed_shown_s``: seconds until a node that was killed
        was in no list any more; ``tools_full_speed_ms``, ``bare_full_speed_ms``: slowest command and bare Python beside
        a run at full speed.
    Raises: RuntimeError: a command failed.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("EDGERIG_HUB", None)
    paced, nodes, shown_s = _beside((*PACED, f"seed={seed}"), environment, rounds, progress, kill=True)
    fast, _, _ = _beside((f"seed={seed}",), environment, rounds, progress, kill=False)
    bare, bare_fast = paced.pop("bare"), fast.pop("bare")
    slowest = [max(each[k] for each in paced.values()) / bare[k] for k in range(rounds)]
    return {
        "rounds": rounds,
        "nodes": nodes,
        "bare_ms": 1e3 * statistics.median(bare),
        **{f"ms_{name}": 1e3 * statistics.median(each) for name, each in paced.items()},
        "tools_ms": 1e3 * max(statistics.median(each) for each in paced.values()),
        "tools_over_bare": statistics.median(slowest),
        "killed_shown_s": shown_s,
        "bare_full_speed_ms": 1e3 * statistics.median(bare_fast),
        "tools_full_speed_ms": 1e3 * max(statistics.median(each) for each in fast.values()),
    }


def _beside(
    settings: Sequence[str], environment: dict[str, str], rounds: int, progress: Progress, *, kill: bool
) -> tuple[dict[str, list[float]], int, float]:
    """Seconds of each command beside a run, its number of nodes, and when a killed one was gone from the list."""
    with tempfile.TemporaryDirectory() as place:
        scenario = runs.prepare(load("quickstart", [*GROUPED, *settings]), on_bus=True)
        folder = runs.new_folder(scenario, str(Path(place) / "run"))
        launcher = Launcher(folder, scenario)
        try:
            progress(f"a run of 60 nodes, {scenario.clock}")
            launcher.start()
            end_s = time.monotonic() + scenario.deadlines.start_s
            while (status := launcher.status()) is None or status.slot < 1:
                if time.monotonic() > end_s:
                    raise RuntimeError(f"the run did not start within {scenario.deadlines.start_s:g} s")
            with Client(launcher.address) as client:
                peers = client.peers()
            times = _times(launcher.address, environment, rounds, progress)
            shown_s = _killed_shown_s(launcher.address, peers, environment, progress) if kill else math.nan
        finally:
            launcher.interrupt()
            launcher.close()
    return times, sum(len(peer.nodes) for peer in peers), shown_s


def _killed_shown_s(address: str, peers: Sequence[Peer], environment: dict[str, str], progress: Progress) -> float:
    """Seconds from a kill -9 of an agent's process, which nobody reports, until its node is no member any more."""
    victim = next(peer for peer in peers if peer.process.startswith("agent"))
    progress(f"kill -9 {victim.process}")
    os.kill(victim.pid, signal.SIGKILL)
    killed_s = time.monotonic()
    while time.monotonic() - killed_s < 10.0 * SETTLED_S:
        listed = json.loads(_run(("node", "list", "--json", "--hub", address), environment)[1])
        if victim.nodes[0].name not in {node["node"] for node in listed["nodes"]}:
            break
    return time.monotonic() - killed_s


def _times(address: str, environment: dict[str, str], rounds: int, progress: Progress) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {"bare": [], **{name: [] for name in COMMANDS}}
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}")
        times["bare"].append(_run(BARE, environment, module=False)[0])
        for name, words in COMMANDS.items():
            times[name].append(_run((*words, "--hub", address), environment)[0])
    return times


def _run(words: Sequence[str], environment: dict[str, str], *, module: bool = True) -> tuple[float, str]:
    command = [sys.executable, *(("-m", "emulator") if module else ()), *words]
    began_s = time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60.0, check=False)
    passed_s = time.monotonic() - began_s
    if done.returncode not in (0, 1):  # 1: the doctor has found something
        raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return passed_s, done.stdout
