"""Exported actors: one ONNX file an edge server, and a manifest that says for which world they are.

An actor takes a frame's tasks by slot and service and answers with a value for each service; which services to deploy
is a knapsack that whoever runs it solves. Everything it must be fed with is written into the file itself, too. A file
may ask for two inputs more: ``facts`` of the services, and its own ``state``, which it gives back as ``state_after``.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final, Literal

import msgspec
import tomli_w

from agents.errors import AgentError
from emulator.model.offloading import Network
from emulator.model.world_digest import world_digest

VERSION: Final = 1
MANIFEST: Final = "manifest.toml"
SHARED: Final = "actor.onnx"
"""The one file of actors that take any server."""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a folder of actors is for.

    Attributes:
        version: Of this format.
        trained: On what, how, how long.
        edges: M, and so many files ``actor-<m>.onnx``; or ``any``, and one ``actor.onnx`` for all servers.
        services: J, or ``any`` if the actors take any world.
        slots_per_frame: K; an actor takes that many slots, the latest ones.
        count_unit: Tasks that are 1 inside the network; it divides by this itself.
        size_unit_bytes: The knapsack's common unit in the world of the training.
        world: Digest of that world (``world_digest``).
    """

    version: int
    trained: str
    edges: int | Literal["any"]
    services: int | Literal["any"]
    slots_per_frame: int
    count_unit: float
    size_unit_bytes: float
    world: str


def actor_path(folder: Path, edge: int) -> Path:
    """The file of one edge server's actor; the shared one where there is one."""
    shared = folder / SHARED
    return shared if shared.exists() else folder / f"actor-{edge}.onnx"


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it; the last file of an export, so that a folder with a manifest is whole."""
    (folder / MANIFEST).write_text(tomli_w.dumps(msgspec.to_builtins(manifest)), encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Read it.

    Raises: AgentError: there is none, or it is of another version.
    """
    path = folder / MANIFEST
    try:
        manifest = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Manifest)
    except OSError:
        raise AgentError(f"{folder}: holds no actors ({MANIFEST}); `edgerig export ttosc` makes some") from None
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise AgentError(f"{path}: cannot be read ({error}); export again") from None
    if manifest.version != VERSION:
        raise AgentError(f"{path}: has version {manifest.version}, this edgerig reads {VERSION}; export again")
    return manifest


def check_world(folder: Path, manifest: Manifest, network: Network, slots_per_frame: int) -> None:
    """Whether actors fit a world.

    Raises: AgentError: they were trained in another one.
    """
    if manifest.services == "any":
        return
    if manifest.world != world_digest(network, slots_per_frame):
        have = f"M={network.edges} J={network.services} K={slots_per_frame}"
        want = f"M={manifest.edges} J={manifest.services} K={manifest.slots_per_frame}"
        raise AgentError(
            f"{folder}: trained in another world ({want}; this one is {have}; sizes, rates and tasks count, too); "
            "use its scenario and world_seed, or train here"
        )
