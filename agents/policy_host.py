"""Hosts a policy of ours as an agent of its own process (``python -m agents.policy_host SPEC``), over the protocol.

So that whatever can be named can be swapped in. The world is the hub's scenario, which the protocol's Setup does not
carry whole; all else is as with a program.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, cast

from agents.errors import AgentError
from agents.host import lease_keys, wants_standby, with_state
from agents.shown import counts_in, values_in
from bus import agent_wire as wire
from bus.agent_client import AgentClient, Decider, RefusedForGood
from bus.agent_state import NO_STATE
from bus.client import Client
from bus.errors import BusError, CallTimeout, PeerLost
from bus.messages import Query, Setup
from emulator import records
from emulator.introduced import own_version
from emulator.keys import credential_of
from emulator.scenario import Scenario
from emulator.scenario_file import parse

USAGE: Final = "usage: python -m agents.policy_host SPEC, with EDGERIG_HUB and EDGERIG_INDEX set"
HUB_ANSWERS_S: Final = 30.0
ANSWER_S: Final = 2.0


class HostedDeployments:
    """A policy of the offloading world."""

    def __init__(self, policy: Any) -> None:
        self._policy = policy
        self._seen: dict[int, Any] = {}
        self.state_format: str = getattr(policy, "state_format", "")

    def decide(self, header: wire.Header, observation: wire.Said) -> wire.Said:
        """Ask the policy."""
        from agents.policy import Observation

        shown = cast("wire.Observation", observation)
        asked = Observation(header.frame, counts_in(shown))
        if not shown.warm_up:
            self._seen = {header.frame - 1: self._seen.get(header.frame - 1), header.frame: asked}
        return wire.Deployment(records.services_of(self._policy.decide(asked)))

    def hear(self, header: wire.Header, said: wire.Said) -> None:
        """Tell it what a frame was worth."""
        from agents.policy import Reward

        seen = self._seen.pop(header.frame, None)
        if isinstance(said, wire.Reward) and seen is not None:
            self._policy.after_frame(seen, Reward(header.frame, said.reward_s, said.delay_s))

    def give_state(self) -> bytes:
        """What the policy remembers. Raises: ValueError: nothing."""
        if not self.state_format:
            raise ValueError(NO_STATE)
        return bytes(self._policy.give_state())

    def take_state(self, state: bytes) -> None:
        """Let the policy remember that. Raises: ValueError: it does not take it."""
        if not self.state_format:
            raise ValueError(NO_STATE)
        self._policy.take_state(state)


class HostedRentals:
    """A policy of the rental world; none that can be hosted remembers anything."""

    def __init__(self, policy: Any) -> None:
        self._policy = policy
        self.state_format = ""

    def decide(self, header: wire.Header, observation: wire.Said) -> wire.Said:
        """Ask the policy."""
        from agents.rental_policy import RentalObservation

        shown = cast("wire.RentalObservation", observation)
        return wire.Rental(int(self._policy.decide(RentalObservation(header.frame, values_in(shown)[0]))))

    def hear(self, header: wire.Header, said: wire.Said) -> None:
        """What a slot came to teaches nothing to a policy that does not learn."""

    def give_state(self) -> bytes:
        """Raises: ValueError: there is none."""
        raise ValueError(NO_STATE)

    def take_state(self, state: bytes) -> None:
        """Raises: ValueError: there is none."""
        raise ValueError(NO_STATE)


def hosted(spec: str, scenario: Scenario, edge: int) -> tuple[Callable[[wire.Setup], Decider], str]:
    """What makes a policy for an edge server, anew whenever time begins again, and the format of its state.

    Args:
        spec: Whom, as in ``--agent``.
        scenario: The run's, with everything resolved.
        edge: The edge server.
    Raises: AgentError: it cannot be hosted, or not here.
    """
    make = _deployments if scenario.rental is None else _rentals
    check_hostable(spec, scenario.world)
    first = make(spec, scenario, edge)  # what it lacks is to be said before anybody waits for it
    return lambda _setup: make(spec, scenario, edge), first.state_format


def spec_of(scenario: Scenario, edge: int) -> str:
    """Whom a scenario names for an edge server.

    Raises: AgentError: nobody, or no such edge server.
    """
    if edge >= scenario.edges.count:
        raise AgentError(f"edge server {edge}: there are 0..{scenario.edges.count - 1}")
    if scenario.rental is None:
        from agents.policy import observes, per_edge_specs
    else:
        from agents.policy import per_edge_specs
        from agents.rental_policy import observes
    return per_edge_specs(scenario.agent.policy, scenario.edges.count, observes)[edge]


def check_hostable(spec: str, world: str) -> None:
    """Find out whether a policy can be asked by one edge server alone.

    Raises: AgentError: it cannot; says why.
    """
    if world == "rental":
        from agents.rental_networks import talks
        from agents.rental_policy import observes

        if talks(spec):
            raise AgentError(f"agent {spec}: negotiates with its neighbours, so it cannot be swapped in by itself")
    else:
        from agents.policy import observes
    if observes(spec) == "network":
        raise AgentError(f"agent {spec}: observes the whole network, so it cannot be swapped in by itself")


def _deployments(spec: str, scenario: Scenario, edge: int) -> HostedDeployments:
    from agents.policy import LearningPolicy, Setting, make_policy, warm_up
    from emulator.assembly import build_network

    setting = Setting(build_network(scenario), scenario.slots_per_frame, edge, scenario.seed, scenario=scenario.name)
    policy = make_policy(spec, setting)
    if isinstance(policy, LearningPolicy):
        raise AgentError(f"agent {spec}: learns while it acts, which cannot be swapped in yet")
    warm_up(policy, setting)
    return HostedDeployments(policy)


def _rentals(spec: str, scenario: Scenario, edge: int) -> HostedRentals:
    from agents.rental_policy import LearningRental, RentalSetting, make_rental_policy
    from emulator.rental_plan import build_plan

    policy = make_rental_policy(spec, RentalSetting(build_plan(scenario), edge, scenario.seed, scenario.name))
    if isinstance(policy, LearningRental):
        raise AgentError(f"agent {spec}: learns while it acts, which cannot be swapped in yet")
    return HostedRentals(policy)


def _scenario_of(hub: str) -> Scenario:
    """The scenario of the run that a hub conducts.

    Raises: PeerLost: no hub answers there. CallFailed, KeyRefused: it does not let us ask.
    """
    end_s = time.monotonic() + HUB_ANSWERS_S
    with Client(hub, ANSWER_S, credential=credential_of("agent")) as client:
        while True:
            try:
                return parse(client.call("setup", Query(), Setup).scenario, origin="the hub's scenario")
            except CallTimeout:  # who refuses would refuse again
                if time.monotonic() >= end_s:
                    raise PeerLost("/hub", f"nobody answers at {hub}") from None


def main(arguments: list[str]) -> int:
    """Host a policy until it is not needed any more; returns the exit code."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")
    log = logging.getLogger(__name__)
    hub, index = os.environ.get("EDGERIG_HUB", ""), os.environ.get("EDGERIG_INDEX", "")
    if len(arguments) != 1 or not hub or not index.isdigit():
        log.error(USAGE)
        return 2
    (spec,) = arguments
    try:
        scenario = _scenario_of(hub)
        spec = spec or spec_of(scenario, int(index))
        make, state_format = hosted(spec, scenario, int(index))
    except (AgentError, BusError) as error:
        log.error("%s", error)
        return 2 if isinstance(error, AgentError) else 3
    role = "deployment" if scenario.rental is None else "rental"
    process = os.environ.get("EDGERIG_PROCESS", "")
    hello = wire.Hello(
        role, scenario.world, spec, own_version(), process=process, pid=os.getpid(), standby=wants_standby()
    )
    client = AgentClient(hub, int(index), with_state(hello, state_format), make)
    client.keys = lease_keys()

    def stop(_number: int, _frame: FrameType | None) -> None:
        client.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        client.run()
    except (RefusedForGood, PeerLost) as error:
        log.error("%s", error)
        return 1 if isinstance(error, RefusedForGood) else 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
