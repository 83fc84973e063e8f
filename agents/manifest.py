"""The manifest of an agent, ``agent.toml``: what it is, which file runs, what it may use, what it claims."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from agents.errors import AgentError
from bus.agent_wire import PROTOCOL
from emulator.specs import is_program, manifest_of

MOST_FILE_BYTES: Final = 2**28
FILE: Final = "{file}"
PROGRAMS: Final = ("exec", "python")
"""Kinds that have a process of their own."""


class ManifestError(AgentError):
    """A manifest cannot be used: which file, what is wrong, what to do."""


class Resources(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a program may use; more ends it."""

    memory_bytes: Annotated[float, Meta(ge=2**24)] = 2e9
    processor_s: Annotated[float, Meta(ge=0, description="of all its life; 0: no limit")] = 0.0
    files: Annotated[int, Meta(ge=16, description="open at a time")] = 64
    file_bytes: Annotated[float, Meta(ge=0, description="of a file that it writes")] = 1e8


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One agent.

    Attributes:
        file: What is run or loaded, beside the manifest.
        command: The argument list; ``{file}`` is the copy of the file that is run.
        factory: Of a Python file, the class (or function) that is called with the Setup.
        sha256: Of the file; where it is given, another file is refused.
        max_rate_hz: Decisions a second that it keeps up with.
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
    resources: Resources = Resources()


@dataclass(frozen=True)
class Found:
    """A manifest that was read, where it is, and its file as it is now."""

    manifest: Manifest
    path: Path
    file: Path
    sha256: str


def load(path: Path) -> Found:
    """Read a manifest, and check what can be checked without running anything.

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
    if manifest.kind not in PROGRAMS:
        raise ManifestError(f"{path}: kind: {manifest.kind} manifests are not run yet; use --agent onnx:DIR")
    if (manifest.kind == "python") != bool(manifest.factory):
        raise ManifestError(f"{path}: factory: goes with kind python, and names the class that decides")
    file = path.parent / manifest.file
    sha256 = digest_of(file, path)
    if manifest.sha256 not in ("", sha256):
        raise ManifestError(f"{path}: sha256: {file.name} has {sha256}; it is another file than the manifest means")
    return Found(manifest, path.resolve(), file, sha256)


def digest_of(file: Path, manifest: Path) -> str:
    """The SHA-256 of a manifest's file.

    Raises: ManifestError: there is none, or it is too large.
    """
    try:
        if file.stat().st_size > MOST_FILE_BYTES:
            raise ManifestError(f"{manifest}: file: {file.name} is larger than {MOST_FILE_BYTES:,} bytes")
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise ManifestError(f"{manifest}: file: {file}: {error.strerror}; build it first (make)") from None


def load_programs(specs: list[str], world: str) -> None:
    """Check the manifests of all programs among some SPECs.

    Raises: AgentError: one cannot be used in this world.
    """
    for spec in {spec for spec in specs if is_program(spec)}:
        found = load(manifest_of(spec))
        if found.manifest.world != world:
            raise ManifestError(f"{found.path}: world: is {found.manifest.world}, but the scenario's is {world}")
