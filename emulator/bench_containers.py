"""The emulation in containers: images, the way to the first slot, memory, scrapes, and lockstep beside local processes.

Uses images that are built, and the compose file of the checkout. docs/containers.md has the figures.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from emulator.container_run import ContainerRun, EngineFailed, engine
from emulator.folder import read_table
from emulator.launch import ROOT

IMAGES: Final = ("node", "tools", "learn")
EDGES: Final = 5
WARM_UP_SLOTS: Final = 50
"""Slots of each run that do not count: buffers fill, caches warm, starting containers leave the cores."""

MB: Final = 1e6
LOCAL_S: Final = 600.0
PATIENCE_S: Final = 180.0
WATCHED_SLOTS: Final = 15
"""Slots of a second of the paced run before it is weighed: several scrapes, several decisions."""

MEMORY: Final = {
    "/sys/fs/cgroup/memory.stat": "anon",
    "/sys/fs/cgroup/memory/memory.stat": "total_rss",
}
"""Where a container reads its anonymous memory, by version of control groups."""

Figures = dict[str, object]
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """How much to measure.

    Attributes:
        rounds: Pairs of a lockstep run in containers and one of local processes, in turns.
        frames: Frames that each of them lasts. seed: Of the demand.
        tag: Of the images. files: Compose files, the first one the shipped one.
    """

    rounds: int = 3
    frames: int = 200
    seed: int = 1
    tag: str = "local"
    files: tuple[Path, ...] = (Path("compose.yaml"),)


def _say(text: str) -> None:
    sys.stderr.write(f"bench containers: {text}\n")


def run(options: Options, progress: Progress = _say) -> Figures:
    """Measure.

    Returns: ``image_node_mb``, ``image_tools_mb``, ``image_learn_mb`` (of those that are built);
        ``compose_first_slot_s`` (``docker compose up`` to the end of the first slot, 13 containers and Prometheus);
        ``agent_anonymous_mb`` (largest of the agents with ONNX actors); ``scrape_all_s`` (all targets, one after
        the other); ``containers_slots_per_s``, ``local_slots_per_s``, ``containers_over_local`` (median of the
        rounds' ratios; keys and NumPy's scheduler in both).
    Raises: EngineFailed: no engine, no image, or a command of it fails. RuntimeError: a local run fails.
    """
    result: Figures = {"rounds": options.rounds, "slots": 5 * options.frames, "warm_up_slots": WARM_UP_SLOTS}
    result |= _sizes(options)
    result |= _paced(options, progress)
    return result | _lockstep(options, progress)


def _sizes(options: Options) -> Figures:
    """Sizes of the images, and which are not there."""
    found: Figures = {}
    missing: dict[str, str] = {}
    for image in IMAGES:
        name = f"edgerig-{image}:{options.tag}"
        try:
            size = engine("docker", "image", "inspect", "-f", "{{.Size}}", name, cwd=ROOT)
        except EngineFailed as error:
            if image == "node":
                raise EngineFailed(f"no image {name} ({error}); `docker compose build` makes it") from None
            missing[f"image_{image}_mb"] = f"no image {name}; docker build --target {image} -t {name} ."
        else:
            found[f"image_{image}_mb"] = int(size) / MB
    return found | ({"not_measured": missing} if missing else {})


def _run_of(options: Options, name: str, **env: str) -> ContainerRun:
    told = {
        "EDGERIG_TAG": options.tag,
        "EDGERIG_SCENARIO": "quickstart",
        "EDGERIG_EDGES": str(EDGES),
        "EDGERIG_SEED": str(options.seed),
        "EDGERIG_SET": "",
        "PROMETHEUS_PORT": "0",
        "GRAFANA_PORT": "0",
        **env,
    }
    return ContainerRun(f"edgerig-bench-{name}-{os.getpid()}", options.files, told)


# -- a paced run beside Prometheus -------------------------------------------------------------------------------------


def _paced(options: Options, progress: Progress) -> Figures:
    made = _run_of(options, "paced", EDGERIG_AGENT="onnx", EDGERIG_FRAMES="0", EDGERIG_SLOT_WALL_S="1")
    try:
        progress("13 containers and Prometheus, to the first slot")
        began_s = time.monotonic()
        made.compose("up", "-d")
        _await_slots(made, 1)
        first_slot_s = time.monotonic() - began_s
        progress(f"{first_slot_s:.1f} s; {WATCHED_SLOTS} slots more")
        _await_slots(made, WATCHED_SLOTS)
        scrapes = [seconds for _, seconds in made.series('scrape_duration_seconds{job="edgerig"}')]
        up = [value for _, value in made.series('up{job="edgerig"}')]
        weights = [_anonymous_bytes(made, each) for each in made.containers("agent")]
    finally:
        made.down()
    return {
        "compose_first_slot_s": first_slot_s,
        "targets": len(up),
        "targets_up": int(sum(up)),
        "scrape_all_s": sum(scrapes),
        "agent_anonymous_mb": max(weights) / MB,
    }


def _await_slots(made: ContainerRun, slots: int) -> None:
    """Wait in the hub's container until so many slots have ended: each is a line of timing.csv after the heading."""
    script = f"until [ $(cat runs/*/timing.csv 2>/dev/null | wc -l) -gt {slots} ]; do sleep 0.1; done"
    made.inside("hub", "timeout", f"{PATIENCE_S:g}", "sh", "-c", script)


def _anonymous_bytes(made: ContainerRun, container: str) -> int:
    script = " || ".join(f"cat {path} 2>/dev/null" for path in MEMORY)
    return anonymous_bytes(made.docker("exec", container, "sh", "-c", script))


def anonymous_bytes(memory_stat: str) -> int:
    """Anonymous memory of a control group, as its ``memory.stat`` says.

    Raises: EngineFailed: it does not say.
    """
    lines = dict(line.split(maxsplit=1) for line in memory_stat.splitlines() if " " in line)
    found = next((lines[key] for key in MEMORY.values() if key in lines), None)
    if found is None:
        raise EngineFailed("memory.stat of a container tells no anonymous memory; this takes control groups")
    return int(found)


# -- lockstep ----------------------------------------------------------------------------------------------------------


def _lockstep(options: Options, progress: Progress) -> Figures:
    """Containers and local processes in turns."""
    there: list[float] = []
    here: list[float] = []
    for k in range(options.rounds):
        progress(f"round {k + 1} of {options.rounds}: lockstep in containers")
        there.append(_in_containers(options))
        progress(f"round {k + 1} of {options.rounds}: local processes")
        here.append(_local(options))
        progress(f"round {k + 1} of {options.rounds}: {there[-1]:.0f} against {here[-1]:.0f} slots/s")
    ratios = [a / b for a, b in zip(there, here, strict=True)]
    return {
        "containers_slots_per_s": statistics.median(there),
        "local_slots_per_s": statistics.median(here),
        "containers_over_local": statistics.median(ratios),
        "containers_over_local_least": min(ratios),
        "containers_over_local_most": max(ratios),
    }


def _in_containers(options: Options) -> float:
    made = _run_of(options, "lockstep", EDGERIG_AGENT="", EDGERIG_FRAMES=str(options.frames), EDGERIG_SLOT_WALL_S="0")
    with tempfile.TemporaryDirectory(prefix="edgerig-bench-") as place:
        try:
            made.compose("up", "-d", "hub", "demand", "edge", "agent", "cloud")
            code = made.docker("wait", *made.containers("hub")).strip()
            if code != "0":
                raise EngineFailed(f"the run in containers ended with {code}: {made.compose('logs', 'hub')[-300:]}")
            return slots_per_s(made.folder(Path(place) / "runs"))
        finally:
            made.down()


def _local(options: Options) -> float:
    with tempfile.TemporaryDirectory(prefix="edgerig-bench-") as place:
        keys, out = str(Path(place) / "keys"), str(Path(place) / "run")
        _edgerig("keys", "create", keys)
        _edgerig(
            "run", "quickstart", "--keys", keys, "--seed", str(options.seed), "--frames", str(options.frames),
            "--lockstep", "--set", 'scheduler.backend="numpy"', "--out", out, "--json",
        )  # fmt: skip
        return slots_per_s(Path(out))


def _edgerig(*arguments: str) -> None:
    """A command in a process of its own, with one thread for sums as in the image."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment.pop("EDGERIG_KEYS", None)
    done = subprocess.run(
        (sys.executable, "-m", "emulator", *arguments),
        env=environment,
        capture_output=True,
        text=True,
        timeout=LOCAL_S,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"edgerig {' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()[-300:]}")


def slots_per_s(folder: Path) -> float:
    """Slots a second of a run in lockstep, without its first ones."""
    wall_s: Sequence[float] = read_table(folder / "timing.csv")["wall_s"][WARM_UP_SLOTS:]
    return len(wall_s) / sum(wall_s)
