"""Agents that are programs: copied into the run folder, hashed, and started with little more than an address."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from agents.host import KEEPS, NEEDS
from agents.manifest import Found, ManifestError, load
from emulator.confined import NOBODY
from emulator.errors import RunFolderError
from emulator.keys import VARIABLE
from emulator.lent_keys import lend

ROOT: Final = Path(__file__).resolve().parent.parent
CONFINED: Final = Path(__file__).with_name("confined.py")
ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
KEPT: Final = ("PATH", "LANG", "LC_ALL", "TZ")
"""What a program gets of our environment."""


@dataclass(frozen=True)
class Command:
    """How a process is started: argument list, environment, and working directory (None: ours).

    lent: A folder that is to be removed when the process has ended.
    """

    argv: list[str]
    environment: dict[str, str]
    folder: Path | None = None
    lent: Path | None = None


def command_of(manifest: Path, run: Path, name: str, edge: int, hub: str, store: Path | None = None) -> Command:
    """Copy a program into a run's folder, and tell how that copy is started.

    Args:
        manifest: Its manifest.
        run: The run folder.
        name: What the launcher calls the process.
        edge: The edge server that it decides for.
        hub: The hub's address.
        store: The keystore, in a run with keys.
    Raises: ManifestError: the manifest cannot be used (any more). RunFolderError: there is no room for a copy.
        KeystoreError: the keystore in use has no key of role agent.
    """
    found = load(manifest)
    folder = run.resolve() / "agents" / found.sha256[:16]
    try:
        copied = found.named.copied(folder)
    except OSError as error:
        raise RunFolderError(f"{folder}: {error.strerror}; make room or choose another --out") from None
    copy = copied.place(edge)
    if not copy.exists():
        raise ManifestError(f"{found.path}: file: there is no {copy.name}; it is not for edge server {edge}")
    if copied.sha256() != found.sha256:
        raise ManifestError(f"{found.path}: file: {found.manifest.file} changed while it was copied; start again")
    if found.manifest.kind != "exec":
        return _hosted(found, copy, name, edge, hub, store)
    limits = json.dumps(msgspec.to_builtins(found.manifest.resources))
    environment = {key: os.environ[key] for key in KEPT if key in os.environ}
    environment |= {"EDGERIG_HUB": hub, "EDGERIG_INDEX": str(edge), "EDGERIG_PROCESS": name, "HOME": "/"}
    lent = None
    if store is not None:
        lent = lend(store, NOBODY) if os.geteuid() == 0 else None
        environment[VARIABLE] = str(lent or store.resolve())
    confined = [sys.executable, "-I", "-S", str(CONFINED), limits, str(copy)]
    return Command([*confined, *found.manifest.command], environment, Path("/"), lent)


def host_of(spec: str, name: str, edge: int, hub: str, store: Path | None = None) -> Command:
    """How a policy of ours is started as an agent of its own process.

    Args:
        spec: The policy.
        name: What the launcher calls the process.
        edge: The edge server that it is to decide for.
        hub: The hub's address.
        store: The run's keystore; None without keys.
    """
    told = {"EDGERIG_HUB": hub, "EDGERIG_INDEX": str(edge), "EDGERIG_PROCESS": name, "PYTHONPATH": str(ROOT)}
    keys = {VARIABLE: str(store.resolve())} if store is not None else {}
    return Command(
        [sys.executable, "-P", "-m", "agents.policy_host", spec], {**os.environ, **ONE_THREAD, **told, **keys}
    )


def _hosted(found: Found, copy: Path, name: str, edge: int, hub: str, store: Path | None) -> Command:
    """A Python class runs with our rights, in a process of its own; so does an ONNX file, within its resources."""
    manifest = found.manifest
    told = {"EDGERIG_HUB": hub, "EDGERIG_INDEX": str(edge), "EDGERIG_PROCESS": name, "PYTHONPATH": str(ROOT)}
    host = [sys.executable, "-P", "-m", "agents.host", f"{copy}:{manifest.factory}"]
    host += [manifest.name, manifest.version, manifest.world]
    if manifest.kind == "onnx":
        host.append(json.dumps(msgspec.to_builtins(manifest.resources)))
    if manifest.state is not None:
        host += [f"{KEEPS}{manifest.state.format}", *([NEEDS] if manifest.state.needs else [])]
    keys = {VARIABLE: str(store.resolve())} if store is not None else {}
    ours = {key: value for key, value in os.environ.items() if key != VARIABLE}
    return Command(host, {**ours, **ONE_THREAD, **told, **keys})
