"""What a deployment policy is: an observation in, the services to deploy out.

A policy never sees a socket, a clock or a metric. ``decide`` is pure: asked again for the same frame it answers the
same; what it learns from a frame it takes in ``after_frame``, which is called once, when the frame is committed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from agents.errors import AgentError
from agents.registry import Registry
from emulator.model.offloading import Bools, Floats, Network
from emulator.model.streams import Stream

Signal = Literal["marginal_gains"]
DRAWS_PER_FRAME = 4096


class Figures(NamedTuple):
    """How learning goes.

    Attributes:
        loss: Of the last step; nan before the first.
        exploring: The probability with which a decision is drawn at random.
        remembered: Frames in the memory.
    """

    loss: float
    exploring: float
    remembered: int


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """What a policy is asked on.

    Attributes:
        frame: The frame to decide for.
        counts: Tasks of the frame before: (slot, service) for a local policy, (edge, slot, service) for one that
            observes the network; zero slots long when nothing was seen.
    """

    frame: int
    counts: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Reward:
    """What a frame was worth: [R^t] seconds, its mean delay, and that had all gone to the cloud, seconds per task."""

    frame: int
    reward_s: float
    delay_s: float
    all_cloud_s: float = math.nan


@dataclass(frozen=True, slots=True, eq=False)
class Experience:
    """A frame that is over, as a policy learns from it.

    Attributes:
        frame: The frame.
        seen: What it was decided on: tasks of the frame before, shape (slot, service).
        deployed: What was in force as far as is known: what was decided, or what a signal says; shape (service,).
        reward: What the frame was worth.
        seen_next: Tasks of the frame itself, shape (slot, service).
        gains_s: Seconds per task that each deployed service saved by being there, summed over slots, shape (service,),
            0 where not deployed; None unless the policy declares the signal ``marginal_gains``.
    """

    frame: int
    seen: Floats
    deployed: Bools
    reward: Reward
    seen_next: Floats
    gains_s: Floats | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """The world a policy decides in.

    Attributes:
        network: Edge servers, cloud and services.
        slots_per_frame: K.
        edge: The edge server it decides for; None when one policy plans for all.
        seed: The run's seed.
        backend: ``numpy`` or ``numba``, for planners.
        upcoming: Tasks of a frame to come, shape (edge, slot, service); only the in-process world can give it.
        scenario: Name of the scenario, by which actors that come with edgerig are found.
        state: Where a policy that learns keeps what it has learned; None: nowhere.
        slot_s: Length of a slot, simulated seconds.
        decision_budget_s: What a decision may take.
    """

    network: Network
    slots_per_frame: int
    edge: int | None
    seed: int
    backend: Literal["numpy", "numba"] = "numpy"
    upcoming: Callable[[int], Floats] | None = None
    scenario: str = ""
    state: Path | None = None
    slot_s: float = 60.0
    decision_budget_s: float = 30.0

    def generator(self, frame: int) -> np.random.Generator:
        """Random numbers of one frame: the edge server's own, or common to all where one plans for all."""
        entity = "/planner" if self.edge is None else f"/agent/{self.edge}"
        return Stream(self.seed, entity, "policy", draws=DRAWS_PER_FRAME).generator(frame)


class LocalPolicy(Protocol):
    """Decides for one edge server from what that server saw."""

    observes: Literal["local"]

    def decide(self, observation: Observation) -> Bools:
        """The services to deploy, shape (service,); must fit the storage."""
        ...

    def after_frame(self, observation: Observation, reward: Reward) -> None:
        """Learn from a committed frame: the observation it was decided on and what it was worth."""
        ...


class NetworkPolicy(Protocol):
    """Plans for all edge servers from what all saw; every agent computes the same plan and takes its row."""

    observes: Literal["network"]

    def decide(self, observation: Observation) -> Bools:
        """The services to deploy, shape (edge, service); every row must fit its server's storage."""
        ...

    def after_frame(self, observation: Observation, reward: Reward) -> None:
        """Learn from a committed frame."""
        ...


@runtime_checkable
class LearningPolicy(Protocol):
    """Decides for one edge server and learns meanwhile; instead of ``after_frame`` it gets whole experiences.

    ``learn`` and ``save`` run in a thread beside the agent's loop, one after the other. In lockstep both are over
    before the next decision, which so tells that what the frame taught is kept. On the wall clock ``decide`` may be
    asked meanwhile, and answers by what was learned before.

    Attributes:
        signals: What it wants to be told beyond the reward; what nobody wants is not sent.
    """

    observes: Literal["local"]
    signals: frozenset[Signal]

    def decide(self, observation: Observation) -> Bools:
        """The services to deploy, shape (service,); must fit the storage."""
        ...

    def resume(self) -> None:
        """Go on from what a process before this one has saved in the same run, if there is anything."""
        ...

    def learn(self, experience: Experience) -> None:
        """Learn from the frame that is over."""
        ...

    def save(self) -> None:
        """Keep all that learning goes on from, whole or not at all."""
        ...


@runtime_checkable
class Telling(Protocol):
    """A policy that tells how its learning goes."""

    def figures(self) -> Figures:
        """As of the last frame that was learned from."""
        ...


Policy = LocalPolicy | LearningPolicy | NetworkPolicy


def _load() -> None:
    from agents import baselines, onnx_actor, planners  # noqa: F401 -- they register themselves
    from agents.ttosc import online  # noqa: F401


def _program(setting: Setting, spec: str) -> Policy:
    from agents.hosting import hosted

    return hosted(setting, spec)


_REGISTRY: Registry[Setting, Policy] = Registry(_load, _program)
register, lent, names = _REGISTRY.register, _REGISTRY.lent, _REGISTRY.names
observes, make_policy = _REGISTRY.observes, _REGISTRY.make


def warm_up(policy: Policy, setting: Setting) -> None:
    """Ask a policy once about made-up counts, so that what it compiles or loads is there before time counts.

    ``decide`` is pure, so this leaves no trace.
    """
    network = setting.network
    shape = (setting.slots_per_frame, network.services)
    counts = np.ones(shape if policy.observes == "local" else (network.edges, *shape))
    policy.decide(Observation(0, counts))


def per_edge_specs(spec: str, edges: int, known: Callable[[str], object] = observes) -> list[str]:
    """Spread ``SPEC`` or ``EDGE=SPEC,...,SPEC`` over the edge servers; the part without an edge is for the rest.

    Args:
        spec: What was asked for.
        edges: N.
        known: Raises AgentError for a policy that there is not.
    Raises: AgentError: an edge server is named twice, does not exist, or is left without a policy.
    """
    rest = ""
    named: dict[int, str] = {}
    for part in spec.split(","):
        edge, equals, own = part.partition("=")
        if not equals:
            rest = part
        elif not edge.strip().isdigit() or int(edge) >= edges:
            raise AgentError(f"agent {part!r}: {edge!r} is no edge server; there are 0..{edges - 1}")
        elif int(edge) in named:
            raise AgentError(f"agent {spec!r}: edge server {edge} is named twice")
        else:
            named[int(edge)] = own
    missing = [str(m) for m in range(edges) if m not in named and not rest]
    if missing:
        raise AgentError(f"agent {spec!r}: nobody decides for edge {', '.join(missing)}; add a policy for the rest")
    specs = [named.get(m, rest) for m in range(edges)]
    for each in set(specs):
        known(each)
    return specs


def first_fit(order: NDArray[np.int64], network: Network, edge: int) -> Bools:
    """Deploy services in an order of preference, skipping what does not fit any more.

    Args:
        order: Service indices, most wanted first.
        network: The world.
        edge: The edge server.
    Returns: Shape (service,).
    """
    room = float(network.storage_bytes[edge])
    sizes = network.service_bytes.tolist()
    deployed = np.zeros(network.services, dtype=np.bool_)
    for service in order.tolist():
        if sizes[service] <= room:
            deployed[service] = True
            room -= sizes[service]
    return deployed
