"""The manifest of an agent, ``agent.toml``: what it is, which file runs, what it may use, what it claims."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from agents.agent_files import EDGE, FilesError, Named
from agents.errors import AgentError
from agents.onnx_file import inspect
from agents.signing import KEYRING, canonical, check_signed
from bus.agent_wire import PROTOCOL
from emulator.specs import is_program, manifest_of

FILE: Final = "{file}"


class ManifestError(AgentError):
    """A manifest cannot be used: which file, what is wrong, what to do."""


class Resources(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a program may use; more ends it."""

    memory_bytes: Annotated[float, Meta(ge=2**24)] = 2e9
    processor_s: Annotated[float, Meta(ge=0, description="of all its life; 0: no limit")] = 0.0
    files: Annotated[int, Meta(ge=16, description="open at a time")] = 64
    file_bytes: Annotated[float, Meta(ge=0, description="of a file that it writes")] = 1e8


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an agent remembers between frames, and gives to its successor; needs: it takes over only with one."""

    format: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$")]
    needs: bool = False


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One agent.

    Attributes:
        file: What is run or loaded, beside the manifest; a folder if it is a Python package, and with ``{edge}`` in it
            one ONNX file an edge server.
        command: The argument list; ``{file}`` is the copy of the file that is run.
        factory: Of a Python file, the class (or function) that is called with the Setup.
        sha256: Of the file (of several: see ``Named.sha256``); where it is given, another file is refused.
        max_rate_hz: Decisions a second that it keeps up with.
        keys: It takes part in runs with keys.
        state: Of what it remembers; None: it gives and takes none.
        deterministic: It decides the same when it is shown the same, from its start on.
    """

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    version: Annotated[str, Meta(min_length=1, max_length=64)]
    protocol: int
    world: Literal["offloading", "rental"]
    kind: Literal["onnx", "python", "exec"]
    file: Annotated[str, Meta(min_length=1)]
    command: tuple[str, ...] = (FILE,)
    factory: Annotated[str, Meta(pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?$")] = ""
    sha256: Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?$")] = ""
    observation: Literal["counts", "values"] = "counts"
    services: Literal["any"] | int = "any"
    max_rate_hz: Annotated[float, Meta(gt=0)] = 20.0
    deterministic: bool = False
    keys: bool = True
    resources: Resources = Resources()
    state: State | None = None


@dataclass(frozen=True)
class Found:
    """A manifest that was read, where it is, and its files as they are now."""

    manifest: Manifest
    path: Path
    named: Named
    sha256: str

    def canonical(self) -> bytes:
        """What is signed of it; without a state as before there were any."""
        facts = msgspec.to_builtins(self.manifest)
        if self.manifest.state is None:
            del facts["state"]
        return canonical(facts, self.sha256)


def load(path: Path, *, check: bool = True) -> Found:
    """Read a manifest, and check what can be checked without running anything.

    Args:
        path: Of the manifest.
        check: Whether its signature is looked at, where a keyring is in use.
    Raises: ManifestError: it cannot be used.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ManifestError(f"{path}: {why}; give the path of an agent.toml") from None
    try:
        manifest = msgspec.convert(tomllib.loads(text), Manifest)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ManifestError(f"{path}: {error}; docs/agent-protocol.md lists the keys") from None
    if manifest.protocol != PROTOCOL:
        raise ManifestError(f"{path}: protocol: is {manifest.protocol}, but edgerig speaks {PROTOCOL}")
    if FILE not in manifest.command:
        raise ManifestError(f"{path}: command: must have {FILE} in it, which is what is copied, hashed and run")
    if (manifest.kind == "python") != bool(manifest.factory):
        raise ManifestError(f"{path}: factory: goes with kind python, and names the class that decides")
    if EDGE in manifest.file and manifest.kind != "onnx":
        raise ManifestError(f"{path}: file: only ONNX files may differ by edge server ({EDGE})")
    whole = path.parent / manifest.file
    named = Named(whole.parent, whole.name)
    if whole.is_dir() and manifest.kind != "python":
        raise ManifestError(f"{path}: file: is a folder; only a Python package may be one")
    try:
        sha256 = named.sha256()
    except FilesError as error:
        raise ManifestError(f"{path}: {error}") from None
    if manifest.sha256 not in ("", sha256):
        raise ManifestError(f"{path}: sha256: {manifest.file} has {sha256}; it is another file than the manifest means")
    found = Found(manifest, path.resolve(), named, sha256)
    if check and os.environ.get(KEYRING):
        check_signed(found.path, found.canonical(), Path(os.environ[KEYRING]))
    return found


def load_programs(specs: list[str], world: str, services: int | None = None) -> list[Found]:
    """Check the manifests of all programs among some SPECs.

    Args:
        specs: What was asked for.
        world: The scenario's.
        services: How many it has; None: that does not matter.
    Raises: AgentError: one cannot be used in this world.
    """
    every = [load(manifest_of(spec)) for spec in sorted({spec for spec in specs if is_program(spec)})]
    for found in every:
        if found.manifest.world != world:
            raise ManifestError(f"{found.path}: world: is {found.manifest.world}, but the scenario's is {world}")
        if services is not None and found.manifest.services not in ("any", services):
            raise ManifestError(
                f"{found.path}: services: is {found.manifest.services}, but the scenario has {services} services"
            )
        if found.manifest.kind == "onnx":
            for file in found.named.files():
                inspect(file)
    return every


def warning_of(found: Found) -> str:
    """What whoever starts it should know; empty if there is nothing."""
    if found.manifest.kind != "python":
        return ""
    who = f"{found.manifest.name} {found.manifest.version} ({found.sha256[:12]})"
    return f"{who} is Python code that runs with your rights; what you do not trust belongs in a container"
