"""Hosts an ONNX file as an agent: its shapes are checked against the Setup before it is run for the first time.

Offloading: ``observation`` (slot, service) float32, tasks; if it wants them ``facts`` (service, 8) and its own
``state`` (row, service). Its first output is a value for each service, the deployment is the knapsack of greatest
value; the second is the state after the frame. Rental: ``observation`` (n, 5) float32; ``rented`` (n,) is units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from agents.actor import Actor
from agents.errors import AgentError
from agents.onnx_file import inspect
from agents.onnx_session import opened
from agents.shown import counts_in, values_in
from agents.ttosc.features import FACTS, facts_from
from agents.ttosc.knapsack import best_packing, packing_of
from bus import agent_wire as wire
from bus.agent_state import NO_STATE
from emulator.model.offloading import Bools, Floats

FLOATS: Final = "tensor(float)"
MOST_ROWS: Final = 1024
"""Of a state."""
RENTAL_FIELDS: Final = 5
ANY: Final = "any"


class HostedActor:
    """Deploys what an actor values most."""

    def __init__(self, session: Any, setup: wire.Setup, edge: int) -> None:
        self._setup = setup
        self._sizes = np.array(setup.service_bytes)
        self._actor = Actor(session, setup.slots_per_frame, len(self._sizes), facts(setup, edge))
        self._packing = packing_of(self._sizes, np.array([setup.storage_bytes]))
        self._shown: dict[int, Floats] = {}

    def decide(self, header: wire.Header, observation: wire.Said) -> wire.Said:
        """The packing of greatest value; while nothing was seen, services in their order as long as they fit."""
        assert isinstance(observation, wire.Observation)  # noqa: S101 -- the only kind of this world
        counts = counts_in(observation)
        if counts.shape[1] != len(self._sizes) or len(counts) > self._setup.slots_per_frame:
            raise ValueError(f"counts of shape {counts.shape} do not fit the setup")
        if not len(counts):
            return wire.Deployment(tuple(np.flatnonzero(self._first()).tolist()))
        if not observation.warm_up:
            self._shown = {header.frame: counts}
        values = self._actor.values(counts)
        return wire.Deployment(tuple(np.flatnonzero(best_packing(values[None], self._packing)[0]).tolist()))

    def hear(self, header: wire.Header, said: wire.Said) -> None:
        """A frame that counts is remembered."""
        counts = self._shown.pop(header.frame, None) if isinstance(said, wire.Reward) else None
        if counts is not None:
            self._actor.keep(counts)

    def give_state(self) -> bytes:
        """The rows of its state; without an input ``state`` it has none."""
        return self._actor.give()

    def take_state(self, state: bytes) -> None:
        """Those of another one. Raises: ValueError: they do not fit."""
        self._actor.take(state)

    def _first(self) -> Bools:
        ones: Floats = np.ones((1, len(self._sizes)))
        return best_packing(ones, self._packing)[0]


class HostedRenter:
    """Rents what an actor says, within what can be rented."""

    def __init__(self, session: Any, setup: wire.Setup) -> None:
        self._session, self._most = session, setup.units

    def decide(self, header: wire.Header, observation: wire.Said) -> wire.Said:
        """The actor's answer."""
        assert isinstance(observation, wire.RentalObservation)  # noqa: S101 -- the only kind of this world
        shown = values_in(observation).astype(np.float32)
        (rented,) = self._session.run(["rented"], {"observation": shown})
        return wire.Rental(int(np.clip(np.ravel(rented)[0], 0, self._most)))

    def hear(self, header: wire.Header, said: wire.Said) -> None:
        """It learns nothing."""

    def give_state(self) -> bytes:
        """Raises: ValueError: it remembers nothing."""
        raise ValueError(NO_STATE)

    def take_state(self, state: bytes) -> None:
        """Raises: ValueError: it remembers nothing."""
        raise ValueError(NO_STATE)


def decider_in(file: Path, world: str) -> Callable[[wire.Setup, int], HostedActor | HostedRenter]:
    """What makes the decider of an ONNX file for an edge server; the file is looked through before it is loaded.

    Raises: AgentError: it must not be loaded, or cannot be. The maker raises it, too: it does not fit the setup.
    """
    inspect(file)
    session = opened(file)

    def made(setup: wire.Setup, edge: int) -> HostedActor | HostedRenter:
        check_shapes(file, session, wanted(file, setup, session))
        check_world(file, session, setup)
        return HostedActor(session, setup, edge) if world == "offloading" else HostedRenter(session, setup)

    return made


def wanted(file: Path, setup: wire.Setup, session: Any) -> dict[str, tuple[int | str, ...]]:
    """What each input may look like; a letter stands for any number.

    Raises: AgentError: an output is missing.
    """
    outputs = [each.name for each in session.get_outputs()]
    if setup.world == "rental":
        if "rented" not in outputs:
            raise AgentError(f"{file}: has no output `rented`, only {', '.join(outputs)}")
        return {"observation": ("n", RENTAL_FIELDS)}
    services = len(setup.service_bytes)
    shapes: dict[str, tuple[int | str, ...]] = {"observation": (setup.slots_per_frame, services)}
    asked = [each.name for each in session.get_inputs()]
    shapes |= {"facts": (services, FACTS)} if "facts" in asked else {}
    shapes |= {"state": ("rows", services)} if "state" in asked else {}
    if len(outputs) < len(shapes) - ("facts" in shapes):
        raise AgentError(f"{file}: takes a state and gives none back")
    return shapes


def check_shapes(file: Path, session: Any, shapes: Mapping[str, tuple[int | str, ...]]) -> None:
    """Compare a file's declared inputs with what it will be fed.

    Raises: AgentError: they differ.
    """
    asked = {each.name: each for each in session.get_inputs()}
    if asked.keys() != shapes.keys():
        raise AgentError(f"{file}: its inputs are {', '.join(sorted(asked))}, not {', '.join(sorted(shapes))}")
    for name, shape in shapes.items():
        found = asked[name]
        fits = len(found.shape) == len(shape) and all(
            _fits(own, given) for own, given in zip(found.shape, shape, strict=True)
        )
        if found.type != FLOATS or not fits:
            raise AgentError(f"{file}: input {name} is {found.type} {found.shape}, but will be fed {FLOATS} {shape}")
        if name == "state" and not (isinstance(found.shape[0], int) and 0 < found.shape[0] <= MOST_ROWS):
            raise AgentError(f"{file}: input state needs a number of rows up to {MOST_ROWS}, not {found.shape[0]}")


def _fits(own: int | str | None, given: int | str) -> bool:
    return isinstance(own, str) or own is None or isinstance(given, str) or own == given


def check_world(file: Path, session: Any, setup: wire.Setup) -> None:
    """Whether an actor that was trained for one world only is in that world, as far as the file says so.

    Raises: AgentError: it is not.
    """
    told = dict(session.get_modelmeta().custom_metadata_map)
    if (
        told.get("services", ANY) != ANY
        and setup.world_digest
        and told.get("world", "") not in ("", setup.world_digest)
    ):
        raise AgentError(f"{file}: trained in another world ({told['world']}; this one is {setup.world_digest})")


def facts(setup: wire.Setup, edge: int) -> Floats | None:
    """What does not change about each service, as far as the setup tells; None if it does not."""
    if not setup.task_bytes:
        return None
    return facts_from(
        np.array(setup.service_bytes), setup.storage_bytes, np.array(setup.task_bytes), np.array(setup.task_cycles),
        setup.compute_hz, setup.link_bps, np.array(setup.cloud_s), edge, setup.edges,
    )  # fmt: skip
