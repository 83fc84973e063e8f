"""What is wrong with this machine or with a live run, and what to do about it.

Every check returns findings and never raises for what it finds. A note is worth knowing; a problem needs a hand.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
import os
import re
import resource
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final, Literal

ROOT: Final = Path(__file__).resolve().parent.parent
OURS: Final = ("agents", "bus", "emulator", "monitoring")
LEAST_PYTHON: Final = (3, 11)
DISK_NOTE_BYTES: Final = 10**9
DISK_PROBLEM_BYTES: Final = 10**8
FILES_NOTE: Final = 1024
FILES_PROBLEM: Final = 256
FILES_OWN: Final = 30
FILES_PER_PEER: Final = 3  # measured: the hub of a run of 13 processes has 51 files open
SHM_BYTES: Final = 2**20
LOOPBACK_S: Final = 1.0

EXTRAS: Final = {
    "fast": "compiled scheduling and planning; without it the same numbers, slower",
    "report": "statistics and plots",
    "learn": "training",
    "reference": "the convex solver that the exact scheduler is checked against",
}


@dataclass(frozen=True)
class Finding:
    """What a check found: one line, and the remedy."""

    check: str
    level: Literal["ok", "note", "problem"]
    text: str
    remedy: str = ""


def examine_machine() -> list[Finding]:
    """All checks of this machine, in the order in which they matter."""
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        _python,
        _packages,
        _names,
        _disk,
        _files,
        _loopback,
        _shared_memory,
        _processors,
        _compiled,
        _leftovers,
    )
    return [finding for check in checks for finding in check()]


# -- Python and its packages -------------------------------------------------------------------------------------------


def _python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < LEAST_PYTHON:
        least = ".".join(map(str, LEAST_PYTHON))
        yield Finding(
            "python", "problem", f"Python {version} is too old", f"make the .venv with Python {least} or newer"
        )
    else:
        yield Finding("python", "ok", f"Python {version} in {sys.prefix}")


def _packages() -> Iterator[Finding]:
    try:
        wanted = metadata.requires("edgerig") or []
    except metadata.PackageNotFoundError:
        yield Finding("packages", "problem", "edgerig is not installed here", "run `make setup` in the checkout")
        return
    base: list[str] = []
    by_extra: dict[str, list[str]] = {extra: [] for extra in EXTRAS}
    for requirement in wanted:
        spec, _, marker = requirement.partition(";")
        extra = re.search(r"extra == ['\"]([a-z]+)['\"]", marker)
        if extra is None:
            base.append(spec.strip())
        elif extra[1] in by_extra:
            by_extra[extra[1]].append(spec.strip())
    wrong = [text for spec in base if (text := _unmet(spec))]
    if wrong:
        yield Finding(
            "packages", "problem", "; ".join(wrong), "run `make setup`, or `pip install -e .` in the checkout"
        )
    else:
        yield Finding("packages", "ok", f"{len(base)} packages as edgerig {metadata.version('edgerig')} wants them")
    for extra_name, specs in by_extra.items():
        yield _extra(extra_name, [text for spec in specs if (text := _unmet(spec))])


def _extra(name: str, wrong: list[str]) -> Finding:
    if not wrong:
        return Finding(f"extra {name}", "ok", EXTRAS[name])
    return Finding(f"extra {name}", "note", f"{'; '.join(wrong)} ({EXTRAS[name]})", f"`pip install -e '.[{name}]'`")


def _unmet(spec: str) -> str:
    """Why a requirement such as numpy>=2.1,<3 is not met; empty when it is."""
    match = re.match(r"([A-Za-z0-9._-]+)\s*(.*)", spec)
    if match is None:
        return ""
    name, bounds = match[1], match[2]
    try:
        have = metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"{name} is missing"
    for operator, bound in re.findall(r"(>=|<=|==|<|>)\s*([0-9.]+)", bounds):
        if not _compare(_numbers(have), operator, _numbers(bound)):
            return f"{name} is {have}, wanted {bounds}"
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    """The release as numbers, padded so that 2.1 equals 2.1.0."""
    release = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    parts = [int(part) for part in release[0].split(".")] if release is not None else []
    return tuple((parts + [0] * 4)[:4])


def _compare(have: tuple[int, ...], operator: str, bound: tuple[int, ...]) -> bool:
    results = {">=": have >= bound, "<=": have <= bound, "==": have == bound, "<": have < bound, ">": have > bound}
    return results[operator]


def _names() -> Iterator[Finding]:
    """Our four folders are import names, and others use such names too."""
    foreign = []
    for name in OURS:
        for entry in dict.fromkeys(sys.path):
            place = Path(entry or ".").resolve()
            if place == ROOT:
                continue
            spec = importlib.machinery.PathFinder.find_spec(name, [str(place)])
            if spec is not None and spec.origin is not None and Path(spec.origin).parent.parent != ROOT:
                foreign.append(f"{name} is also {spec.origin}{_owner(name, place)}")
    if foreign:
        remedy = "uninstall that package or rename that file; edgerig wants a .venv of its own"
        yield Finding("import names", "problem", "; ".join(foreign), remedy)
    else:
        yield Finding("import names", "ok", f"{', '.join(OURS)} are ours, in {ROOT}")


def _owner(name: str, place: Path) -> str:
    for distribution in metadata.distributions(path=[str(place)]):
        files = distribution.files or []
        if any(file.parts[0] in (name, f"{name}.py") for file in files):
            return f" (package {distribution.name})"
    return ""


# -- the machine -------------------------------------------------------------------------------------------------------


def _disk() -> Iterator[Finding]:
    place = Path("runs").absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    text = f"{free / 1e9:.1f} GB free for runs in {place}"
    if not os.access(place, os.W_OK):
        yield Finding("disk", "problem", f"{place} cannot be written", "start in another folder, or give --out")
    elif free < DISK_PROBLEM_BYTES:
        yield Finding(
            "disk", "problem", f"only {free / 1e6:.0f} MB free in {place}", "make room, or give --out elsewhere"
        )
    else:
        yield Finding("disk", "note" if free < DISK_NOTE_BYTES else "ok", text)


def _files() -> Iterator[Finding]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = soft if soft != resource.RLIM_INFINITY else 2**30
    most = max(0, (soft - FILES_OWN) // FILES_PER_PEER)
    text = f"{soft} open files a process, enough for a run of about {most} processes"
    level: Literal["ok", "note", "problem"] = "ok"
    if soft < FILES_NOTE:
        level = "problem" if soft < FILES_PROBLEM else "note"
    more = (
        "`ulimit -n` with a higher number" if hard == resource.RLIM_INFINITY or hard > soft else "a higher hard limit"
    )
    yield Finding("open files", level, text, "" if level == "ok" else more)


def _loopback() -> Iterator[Finding]:
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(LOOPBACK_S)
            with socket.create_connection(server.getsockname(), LOOPBACK_S) as client:
                other, _ = server.accept()
                with other:
                    other.settimeout(LOOPBACK_S)
                    client.sendall(b"edgerig")
                    arrived = other.recv(7)
        problem = "" if arrived == b"edgerig" else "what was sent did not arrive"
    except OSError as error:
        problem = str(error)
    if problem:
        remedy = "allow TCP on 127.0.0.1 (`ip link set lo up`, firewall, sandbox); the bus uses it"
        yield Finding("loopback", "problem", f"TCP on 127.0.0.1 fails: {problem}", remedy)
    else:
        yield Finding("loopback", "ok", "TCP on 127.0.0.1 works")


def _shared_memory() -> Iterator[Finding]:
    place = Path("/dev/shm")  # noqa: S108 -- looked at, not written
    if not os.access(place, os.W_OK) or shutil.disk_usage(place).free < SHM_BYTES:
        remedy = "mount it (containers: --shm-size 64m); only `edgerig sim --jobs` uses it"
        yield Finding("shared memory", "note", f"{place} is missing, full or read-only", remedy)
    else:
        yield Finding("shared memory", "ok", f"{shutil.disk_usage(place).free / 1e6:.0f} MB free in {place}")


def _processors() -> Iterator[Finding]:
    count = len(os.sched_getaffinity(0))
    quota = _quota()
    usable = min(count, quota) if quota is not None else float(count)
    text = f"{usable:g} processors" + (f" (of {count}; a quota holds)" if usable < count else "")
    if usable < 2:
        yield Finding("processors", "note", text, "runs are right but slow; `edgerig sim` needs only one")
    else:
        yield Finding("processors", "ok", text)


def _quota() -> float | None:
    """Processors that the container may use; None when it is not limited."""
    with contextlib.suppress(OSError, ValueError):
        most, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return None if most == "max" else int(most) / int(period)
    return None


def _compiled() -> Iterator[Finding]:
    """Compiled code is kept beside its source, or in the user's cache where that cannot be written."""
    if importlib.util.find_spec("numba") is None:
        return
    given = os.environ.get("NUMBA_CACHE_DIR")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    places = [Path(given)] if given else [ROOT / "emulator" / "model" / "__pycache__", home]
    if any(_can_write(place) for place in places):
        yield Finding("compiled code", "ok", f"kept in {next(place for place in places if _can_write(place))}")
    else:
        text = f"{' and '.join(map(str, places))} cannot be written: every process compiles anew, which takes seconds"
        yield Finding("compiled code", "problem", text, "set NUMBA_CACHE_DIR to a folder that can be written")


def _can_write(place: Path) -> bool:
    while not place.exists():
        place = place.parent
    return place.is_dir() and os.access(place, os.W_OK)


def _leftovers() -> Iterator[Finding]:
    """Processes of a run whose launcher is gone."""
    left = sorted(pid for pid, launcher, parent in _started() if parent != launcher)
    if left:
        pids = " ".join(map(str, left))
        yield Finding("leftovers", "problem", f"processes of runs whose launcher is gone: {pids}", f"`kill {pids}`")
    else:
        yield Finding("leftovers", "ok", "no process is left of a dead run")


def _started() -> Iterator[tuple[int, int, int]]:
    """Processes that a launcher started, as far as we may see them: (process, launcher, parent)."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            if b"emulator\0node\0start\0" not in (entry / "cmdline").read_bytes():
                continue
            launcher = re.search(rb"(?:^|\0)EDGERIG_LAUNCHED=([0-9]+)", (entry / "environ").read_bytes())
            if launcher is not None:
                parent = int((entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
                yield int(entry.name), int(launcher[1]), parent
