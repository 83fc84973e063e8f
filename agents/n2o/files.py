"""Exported networks of the rental world: ONNX files for each edge server, and a manifest that says for which world.

``table-<n>.onnx`` takes an observation and answers with the table of edge server n, ``q-<n>.onnx`` answers for any
rentals and with the slopes there, ``actor-<n>.onnx`` answers with the rental itself. All take observations as they are:
scales are inside. What a file must be fed with is written into the file itself, too.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import numpy as np
import tomli_w
from numpy.typing import NDArray

from agents.errors import AgentError
from agents.n2o.dual_averaging import Slopes
from agents.n2o.layout import FIELDS, Singles
from agents.n2o.tables import Floats, Ints, LocalTable
from agents.onnx_session import opened
from emulator.model.graph import Graph

VERSION: Final = 1
MANIFEST: Final = "manifest.toml"
OBSERVED: Final = ("delay_s", "users", "bandwidth_mhz", "price", "hour")
Kind = Literal["q", "actor"]


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a folder of networks is for.

    Attributes:
        version: Of this format.
        kind: ``q``: tables and Q-networks; ``actor``: distilled actors.
        trained: On what, how, how long.
        observed: Names of an observation's numbers, in order.
        centre: Subtracted from an observation inside the files.
        scale: What it is divided by then.
        actions: Rentals to choose from, 0 to ``actions`` - 1 units.
        neighbours: Of each edge server, in the order of a table's axes.
    """

    version: int
    kind: Kind
    trained: str
    observed: tuple[str, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    actions: int
    neighbours: tuple[tuple[int, ...], ...]


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it; the last file of an export, so that a folder with a manifest is whole."""
    (folder / MANIFEST).write_text(tomli_w.dumps(msgspec.to_builtins(manifest)), encoding="utf-8")


def read_manifest(folder: Path, kind: Kind) -> Manifest:
    """Read it.

    Raises: AgentError: there is none, it is of another version, or of another kind of networks.
    """
    path = folder / MANIFEST
    command = "edgerig export n2o" if kind == "q" else "edgerig distill n2o"
    try:
        manifest = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Manifest)
    except OSError:
        raise AgentError(f"{folder}: holds no networks ({MANIFEST}); `{command}` makes some") from None
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise AgentError(f"{path}: cannot be read ({error}); `{command}` makes it anew") from None
    if manifest.version != VERSION:
        raise AgentError(f"{path}: has version {manifest.version}, this edgerig reads {VERSION}; `{command}` again")
    if manifest.kind != kind:
        raise AgentError(
            f"{folder}: holds {manifest.kind} networks, {kind} networks are needed; `{command}` makes some"
        )
    return manifest


def check_world(folder: Path, manifest: Manifest, graph: Graph, actions: int) -> None:
    """Whether networks fit a world.

    Raises: AgentError: another graph or other rentals.
    """
    if manifest.neighbours != graph.neighbours or manifest.actions != actions:
        raise AgentError(
            f"{folder}: trained in another world ({len(manifest.neighbours)} edge servers, rentals 0.."
            f"{manifest.actions - 1}; this one has {graph.edges} and 0..{actions - 1}, neighbours count, too); "
            "use its scenario, or train here"
        )


class QNetwork:
    """One edge server's Q-network, by onnxruntime."""

    def __init__(self, folder: Path, edge: int) -> None:
        """Load it.

        Raises: AgentError: there is none, or onnxruntime cannot read it.
        """
        self._table = opened(folder / f"table-{edge}.onnx")
        self._anywhere = opened(folder / f"q-{edge}.onnx")

    def table(self, observations: NDArray[np.floating]) -> Singles:
        """Values of every joint rental of itself and its neighbours.

        Args:
            observations: Shape (state, field).
        Returns: Shape (state, row), rows in counting order.
        Source: N2O section III.B, Q_n(o_n, alpha_n; theta_n), all rows in one call.
        """
        found: Any = self._table.run(None, {"observation": _singles(observations)})[0]
        return found

    def slopes(self, observations: NDArray[np.floating], rented: NDArray[np.floating]) -> tuple[Singles, Floats]:
        """Values and slopes at rentals that need not be whole.

        Args:
            observations: Shape (state, field).
            rented: Shape (state, 1 + neighbours).
        Returns: Values (state,), and slopes (state, 1 + neighbours), per unit rented.
        Source: N2O Algorithm 1, -g_n(tau).
        """
        value, slope = self._anywhere.run(None, {"observation": _singles(observations), "rented": _singles(rented)})
        return value, slope.astype(np.float64)

    def valued(self, observations: NDArray[np.floating], actions: int) -> tuple[LocalTable, Slopes]:
        """What an orchestrator takes: the table, and the slopes, of observations (state, field)."""
        return LocalTable(self.table(observations), actions), lambda points: self.slopes(observations, points)[1]


class ActorNetwork:
    """One edge server's distilled actor, by onnxruntime."""

    def __init__(self, folder: Path, edge: int) -> None:
        """Load it.

        Raises: AgentError: there is none, or onnxruntime cannot read it.
        """
        self._run: Callable[..., Any] = opened(folder / f"actor-{edge}.onnx").run
        self._wanted = ["rented"]

    def rented(self, observations: NDArray[np.floating]) -> Ints:
        """What to rent.

        Args:
            observations: Shape (state, field).
        Returns: Shape (state,).
        Source: N2O section V, mu_n(o_n).
        """
        found: Ints = self._run(self._wanted, {"observation": _singles(observations)})[0]
        return found

    def answers(self, observations: NDArray[np.floating]) -> Singles:
        """What the network says before that becomes a rental, shape (state, output)."""
        found: Singles = self._run(["answer"], {"observation": _singles(observations)})[0]
        return found


def _singles(values: NDArray[np.floating]) -> Singles:
    return np.asarray(values, dtype=np.float32)


def no_observation() -> Singles:
    """An observation of zeros for warming up, shape (1, field)."""
    return np.zeros((1, FIELDS), dtype=np.float32)
