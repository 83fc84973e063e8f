"""Hosts a Python class or an ONNX file as an agent of its own process, over the agent protocol.

The class knows nothing of edgerig: it is made with a Setup, asked for frames, and told rewards if it wants to be.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Final

import msgspec

from agents.errors import AgentError
from agents.shown import counts_in
from bus import agent_wire as wire
from bus.agent_client import AgentClient, Decider, RefusedForGood
from bus.agent_state import STATE
from bus.credentials import Keys
from bus.errors import KeystoreError, PeerLost
from bus.keystore import Keystore
from emulator.confined import limit

KEEPS: Final = "--state="
NEEDS: Final = "--needs-state"
USAGE: Final = (
    f"usage: python -m agents.host FILE:CLASS NAME VERSION WORLD [RESOURCES, of an ONNX file] [{KEEPS}FORMAT [{NEEDS}]]"
)


class Hosted:
    """One object of the class, for one life of the run."""

    def __init__(self, policy: Any) -> None:
        self._policy = policy

    def decide(self, header: wire.Header, observation: wire.Said) -> wire.Said:
        """Ask the class; a deployment as any collection of indices, a rental as a number."""
        if isinstance(observation, wire.Observation):
            counts = counts_in(observation)
            return wire.Deployment(tuple(sorted(int(service) for service in self._policy.decide(header.frame, counts))))
        return wire.Rental(int(self._policy.decide(header.frame, observation)))

    def hear(self, header: wire.Header, said: wire.Said) -> None:
        """Tell rewards and outcomes to a class that has ``after_frame``."""
        after = getattr(self._policy, "after_frame", None)
        if after is not None and isinstance(said, wire.Reward | wire.Outcome):
            after(header.frame, said)

    def give_state(self) -> bytes:
        """Ask a class that has ``give_state``. Raises: ValueError: it has none, or says so."""
        return bytes(self._of_state("give_state")())

    def take_state(self, state: bytes) -> None:
        """Tell a class that has ``take_state``. Raises: ValueError: it has none, or does not take it."""
        self._of_state("take_state")(state)

    def _of_state(self, name: str) -> Callable[..., Any]:
        method: Callable[..., Any] | None = getattr(self._policy, name, None)
        if method is None:
            raise ValueError(f"its class has no {name}")
        return method


def class_in(place: str) -> Callable[[wire.Setup], Any]:
    """The class that ``FILE:CLASS`` names.

    Raises: AgentError: there is none.
    """
    file, _, name = place.rpartition(":")
    path = Path(file) / "__init__.py" if Path(file).is_dir() else Path(file)
    inside = [file] if Path(file).is_dir() else None
    spec = importlib.util.spec_from_file_location("hosted_agent", path, submodule_search_locations=inside)
    if spec is None or spec.loader is None or not path.is_file():
        raise AgentError(f"{place}: no Python file there; {USAGE}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    found: Callable[[wire.Setup], Any] | None = getattr(module, name, None)
    if found is None:
        raise AgentError(f"{file} has no {name}; name the class in the manifest's `factory`")
    return found


def _decider(place: str, world: str, resources: str = "") -> Callable[[wire.Setup, int], Decider]:
    """What makes the decider of a class, or of an ONNX file, which has resources."""
    if not resources:
        made = class_in(place)
        return lambda setup, _edge: Hosted(made(setup))
    from agents.onnx_host import decider_in

    limit(json.loads(resources))
    return decider_in(Path(place.removesuffix(":")), world)


def lease_keys() -> Callable[[], Keys] | None:
    """Makes what is shown for one lease, from the keystore that the environment names; None without one."""
    folder = os.environ.get("EDGERIG_KEYS")
    if not folder:
        return None
    store = Keystore(Path(folder))
    store.keys("agent")  # what is wrong with it is said at once
    return lambda: store.keys("agent")


def wants_standby() -> bool:
    """Whether whoever started us wants us to stand by."""
    return os.environ.get("EDGERIG_STANDBY", "") not in ("", "0")


def with_state(hello: wire.Hello, state_format: str, *, needs: bool = False) -> wire.Hello:
    """A Hello that says what state is given and taken, if any is."""
    if not state_format:
        return hello
    return msgspec.structs.replace(hello, capabilities=(STATE,), state_format=state_format, needs_state=needs)


def main(arguments: list[str]) -> int:
    """Host a class until the run is over; returns the exit code."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")
    keeps = [given for given in arguments if given.startswith(KEEPS) or given == NEEDS]
    try:
        place, name, version, world, *limits = (given for given in arguments if given not in keeps)
        made = _decider(place, world, *limits)
    except (ValueError, AgentError) as error:
        logging.getLogger(__name__).error("%s", error if isinstance(error, AgentError) else USAGE)
        return 2
    role = "deployment" if world == "offloading" else "rental"
    process = os.environ.get("EDGERIG_PROCESS", "")
    index = os.environ.get("EDGERIG_INDEX", "")
    hello = wire.Hello(role, world, name, version, process=process, pid=os.getpid(), standby=wants_standby())
    formats = [given.removeprefix(KEEPS) for given in keeps if given != NEEDS]
    hello = with_state(hello, formats[-1] if formats else "", needs=NEEDS in keeps)
    hub = os.environ.get("EDGERIG_HUB", "tcp://127.0.0.1:7400")
    try:
        client = AgentClient(hub, int(index) if index else None, hello, lambda setup: made(setup, client.number))
        client.keys, client.wait_s = lease_keys(), float(os.environ.get("EDGERIG_WAIT_S") or "inf")
    except (ValueError, KeystoreError) as error:
        logging.getLogger(__name__).error("%s", error)
        return 2

    def stop(_number: int, _frame: FrameType | None) -> None:
        client.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        client.run()
    except (RefusedForGood, PeerLost, AgentError) as error:
        logging.getLogger(__name__).error("%s", error)
        return {RefusedForGood: 1, PeerLost: 3}.get(type(error), 2)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
