"""Who decided in a run: name, version, and a digest of what was loaded; and on what machine."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from agents import manifest
from agents.errors import AgentError
from emulator.introduced import own_version
from emulator.scenario import Scenario
from emulator.specs import divided, is_program, manifest_of

BLOCK_BYTES: Final = 2**20


def agents_of(scenario: Scenario) -> list[dict[str, Any]]:
    """Who decided for which edge servers, one entry for each SPEC.

    Returns: Of each: ``spec``, ``name``, ``version``, ``sha256`` of its file or files (None where it is a rule of ours,
        or not to be found any more), ``edges``.
    """
    named = dict(divided(part) for part in scenario.agent.policy.split(","))
    edges: dict[str, list[int]] = {}
    for edge in range(scenario.edges.count):
        edges.setdefault(named.get(f"{edge}=", named.get("", "")), []).append(edge)
    return [{**identity(spec, scenario), "edges": served} for spec, served in edges.items()]


def identity(spec: str, scenario: Scenario) -> dict[str, Any]:
    """Name, version and digest of one SPEC."""
    name, _, argument = spec.partition(":")
    known: dict[str, Any] = {"spec": spec, "name": name, "version": own_version(), "sha256": None}
    with contextlib.suppress(AgentError, OSError):
        if is_program(spec):
            found = manifest.load(manifest_of(spec))
            known |= {"name": found.manifest.name, "version": found.manifest.version, "sha256": found.sha256}
        elif argument and Path(argument).exists():
            known["sha256"] = digest_of(Path(argument))
        elif not argument:
            shipped = _shipped(name, scenario)
            known["sha256"] = None if shipped is None else digest_of(shipped)
    return known


def _shipped(name: str, scenario: Scenario) -> Path | None:
    """The folder of what comes with edgerig and is loaded for a policy; None for a rule."""
    if scenario.rental is not None:
        from agents.rental_networks import FOLDERS, SHIPPED, talks

        kind = "actors" if name == "onnx" else FOLDERS["q"] if talks(name) or name == "madql" else ""
        folder = SHIPPED / scenario.name / kind
        return folder if kind and folder.is_dir() else None
    if name != "onnx":
        return None
    from agents.onnx_actor import shipped_for
    from agents.policy import Setting
    from emulator.assembly import build_network

    setting = Setting(build_network(scenario), scenario.slots_per_frame, 0, scenario.seed, scenario=scenario.name)
    return shipped_for(setting)


def digest_of(place: Path) -> str:
    """SHA-256 of a file, or of all files of a folder with their names.

    Raises: OSError: one cannot be read.
    """
    if place.is_file():
        return _hashed(place).hexdigest()
    whole = hashlib.sha256()
    for file in sorted(path for path in place.rglob("*") if path.is_file()):
        whole.update(f"{file.relative_to(place).as_posix()}\0".encode() + _hashed(file).digest())
    return whole.hexdigest()


def _hashed(file: Path) -> Any:
    digest = hashlib.sha256()
    for block in _blocks(file):
        digest.update(block)
    return digest


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while block := opened.read(BLOCK_BYTES):
            yield block


def host() -> dict[str, Any]:
    """What machine this is, without its name."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    }


def _processor() -> str:
    """The processor's own name for itself; empty where it has none."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            key, _, name = line.partition(":")
            if key.strip() == "model name":
                return name.strip()
    return ""
