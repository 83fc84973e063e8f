"""The in-process world as a PettingZoo parallel environment: a step is a frame, or a slot.

Needs the extra ``learn``; nothing else in edgerig imports this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

try:
    from gymnasium import spaces
    from pettingzoo import ParallelEnv
except ImportError as missing:
    raise ImportError(f"emulator.env: {missing.name} is missing; install the extra 'learn'") from missing

from emulator.assembly import resolve
from emulator.env_seeds import EpisodeSeeds
from emulator.linking import table_of
from emulator.model import scheduling
from emulator.model.offloading import Bools, Floats, FrameCosts, refusal
from emulator.model.scheduling_pooled import PooledCosts
from emulator.records import services_of
from emulator.rental_env import RentalEnv, rental_env
from emulator.scenario import Scenario
from emulator.world import FrameStep, Schedule, SlotStep, World

SCHEDULER = "scheduler"
SUM_TOLERANCE = 1e-9
"""A row of shares this near to 1 in sum is taken as it is, so that exact shares keep their bits."""

Infos = dict[str, dict[str, Any]]
Stepped = tuple[dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], Infos]


def parallel_env(
    scenario: Scenario, *, step: Literal["frame", "slot"] = "frame", max_frames: int | None = None
) -> FrameEnv | SlotEnv | RentalEnv:
    """An environment of a scenario; see ``docs/env.md``.

    Args:
        scenario: Any scenario. In the rental world a slot is a frame, and ``step`` makes no difference.
        step: ``frame``: edge servers deploy and the exact scheduler schedules. ``slot``: the agent ``scheduler``
            schedules every slot.
        max_frames: Frames of an episode; the scenario's ``frames`` if not given, or its ``rental.episode_slots``.
    Raises: ValueError: no such step, no frames, agents that are not heard, or emulated links between agents and edge
        servers: what an agent sees and decides passes none here.
    """
    if scenario.agent.lost:
        raise ValueError(
            "agent.lost is of the agents of a run; in an environment, leave out what you do not want heard"
        )
    if scenario.world == "rental":
        return rental_env(resolve(scenario), max_frames)
    table, edges = table_of(scenario), range(scenario.edges.count)
    pairs = [(f"/edge/{m}", f"/agent/{n}") for m in edges for n in edges] if scenario.link else []
    if any(table.find(edge, agent) or table.find(agent, edge) for edge, agent in pairs):
        raise ValueError("links between edge/* and agent/* are not emulated in an environment; leave them out")
    if step not in ("frame", "slot"):
        raise ValueError(f"step {step!r}: choose frame or slot")
    frames = scenario.frames if max_frames is None else max_frames
    if frames < 1:
        raise ValueError(f"max_frames: is {frames}; an episode needs at least 1")
    return (FrameEnv if step == "frame" else SlotEnv)(resolve(scenario), frames)


def exact_schedule(backend: Literal["numpy", "numba"]) -> Schedule:
    """The optimal schedule as a function of tasks and costs, which keeps a frame's form between its slots."""
    kept: tuple[FrameCosts, PooledCosts] | None = None

    def schedule(tasks: Floats, costs: FrameCosts) -> Floats:
        nonlocal kept
        if backend == "numba" or costs.transfer_s is not None:
            return scheduling.solve_shares(tasks, costs, backend=backend)[1]
        if kept is None or kept[0] is not costs:
            kept = (costs, scheduling.pooled_form(costs))
        return scheduling.solve_shares(tasks, costs, backend=backend, form=kept[1])[1]

    return schedule


class FrameEnv(ParallelEnv[str, Any, Any]):  # type: ignore[misc,unused-ignore]
    """Edge servers deploy frame by frame; all share the frame's reward."""

    metadata = {"name": "edgerig_offloading_v0", "render_modes": []}  # noqa: RUF012 -- as PettingZoo declares it
    render_mode = None

    def __init__(self, scenario: Scenario, max_frames: int) -> None:
        self.scenario = scenario
        self.max_frames = max_frames
        count, services = scenario.edges.count, scenario.services.count
        self.edges = [f"edge_{m}" for m in range(count)]
        self.possible_agents = list(self.edges)
        self.agents: list[str] = []
        self.observation_spaces: dict[str, Any] = {
            agent: spaces.Box(0.0, np.inf, (scenario.slots_per_frame, services), np.float64) for agent in self.edges
        }
        self.action_spaces: dict[str, Any] = {agent: spaces.MultiBinary(services) for agent in self.edges}
        self._schedule = exact_schedule(cast("Literal['numpy', 'numba']", scenario.scheduler.backend))
        self._seeds = EpisodeSeeds(scenario.seed)

    def observation_space(self, agent: str) -> Any:
        """The space of what an agent sees, the same object each time."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Any:
        """The space of what an agent decides, the same object each time."""
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict[str, Any], Infos]:
        """Start an episode.

        Args:
            seed: The scenario's ``seed`` of this episode; without one, the next episode that follows from the last
                seed given (at first the scenario's).
            options: Not read.
        Returns: Observations and infos.
        """
        self.world = World(msgspec.structs.replace(self.scenario, seed=self._seeds.following(seed)))
        self.agents = list(self.possible_agents)
        self._refused = [""] * len(self.edges)
        return self._observe(), self._infos()

    def step(self, actions: Mapping[str, Any]) -> Stepped:
        """Play a frame.

        Args:
            actions: One deployment for each edge server, shape (service,), of zeros and ones. One that does not fit
                is refused and the one before stays in force.
        Raises: ValueError: an agent is missing.
        """
        self._check(actions, self.edges)
        played = self.world.step_frame(self._decided(actions), self._schedule, self._refused)
        return self._stepped(played.row.reward_s, self.world.frame >= self.max_frames, played)

    def state(self) -> NDArray[np.float64]:
        """Tasks of the last frame in every cell, shape (edge, slot, service)."""
        return np.stack([self._counts(m) for m in range(len(self.edges))])

    def render(self) -> None:
        """Nothing is drawn."""

    def close(self) -> None:
        """Nothing is held open."""

    def _check(self, actions: Mapping[str, Any], who: list[str]) -> None:
        if not self.agents:
            raise ValueError("step: the episode is over; call reset")
        missing = [agent for agent in who if agent not in actions]
        if missing:
            raise ValueError(f"step: no action of {', '.join(missing)}")

    def _decided(self, actions: Mapping[str, Any]) -> Bools:
        """Deployments in force from now on, shape (edge, service); remembers why others were refused."""
        rows = list(self.world.deployed)
        for m, agent in enumerate(self.edges):
            row = np.asarray(actions[agent])
            if row.shape != rows[m].shape or not np.isin(row, (0, 1)).all():
                self._refused[m] = "malformed"
                continue
            self._refused[m] = refusal(services_of(row != 0), m, self.world.network)
            if not self._refused[m]:
                rows[m] = row != 0
        return np.stack(rows)

    def _counts(self, edge: int) -> Floats:
        """Tasks of the last frame in one cell, zeros in the first frame, shape (slot, service)."""
        if self.world.counts.shape[1] == 0:
            return np.zeros((self.scenario.slots_per_frame, self.scenario.services.count))
        return self.world.counts[edge].copy()

    def _observe(self) -> dict[str, Any]:
        return {agent: self._counts(m) for m, agent in enumerate(self.edges)}

    def _infos(self, played: FrameStep | None = None) -> Infos:
        infos: Infos = {}
        for m, agent in enumerate(self.edges):
            infos[agent] = {
                "refused": self._refused[m],
                "deployed": self.world.deployed[m].copy(),
                "action_mask": self._deployable(m),
            }
            if played is not None:
                infos[agent]["delay_s"] = played.row.delay_s
        return infos

    def _deployable(self, edge: int) -> NDArray[np.int8]:
        """2 where a service may be deployed, 0 where it fits in no case: a mask for ``MultiBinary.sample``."""
        network = self.world.network
        return np.where(network.service_bytes <= network.storage_bytes[edge], 2, 0).astype(np.int8)

    def _stepped(self, reward: float, over: bool, played: FrameStep | None) -> Stepped:
        agents = self.agents
        result = (
            self._observe(),
            dict.fromkeys(agents, reward),
            dict.fromkeys(agents, False),
            dict.fromkeys(agents, over),
            self._infos(played),
        )
        if over:
            self.agents = []
        return result


class SlotEnv(FrameEnv):
    """A frame is a step in which edge servers deploy, then a step for each slot, which the scheduler schedules."""

    metadata = {"name": "edgerig_offloading_slots_v0", "render_modes": []}  # noqa: RUF012 -- as above

    def __init__(self, scenario: Scenario, max_frames: int) -> None:
        super().__init__(scenario, max_frames)
        count, services = scenario.edges.count, scenario.services.count
        self.possible_agents.append(SCHEDULER)
        self.observation_spaces[SCHEDULER] = spaces.Dict(
            tasks=spaces.Box(0.0, np.inf, (count, services), np.float64),
            deployed=spaces.MultiBinary((count, services)),
        )
        self.action_spaces[SCHEDULER] = spaces.Box(0.0, 1.0, (count, count + 1, services), np.float64)

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict[str, Any], Infos]:
        """Start an episode, see ``FrameEnv``; the edge servers act first."""
        self._slots: list[SlotStep] = []
        self._deploying = True
        self._bad_rows = 0
        return super().reset(seed, options)

    def step(self, actions: Mapping[str, Any]) -> Stepped:
        """Deploy, or play a slot; actions of those whose turn it is not are not read.

        Args:
            actions: Deployments as in ``FrameEnv``, or shares of shape (edge from, target, service), the cloud last.
                A row of shares is scaled to sum to 1; one that is negative, not finite, 0, or positive where the
                service is not deployed is refused: its tasks are served where they are or go to the cloud.
        Raises: ValueError: the action of somebody whose turn it is is missing.
        """
        if self._deploying:
            self._check(actions, self.edges)
            self.world.deploy(self._decided(actions), self._refused)
            self._deploying, self._bad_rows = False, 0
            return self._stepped(0.0, False, None)
        self._check(actions, [SCHEDULER])
        slot = self.world.step_slot(lambda tasks, costs: self._shares(actions[SCHEDULER], tasks, costs))
        self._slots.append(slot)
        played = None
        if len(self._slots) == self.scenario.slots_per_frame:
            played = self.world.close_frame(self._slots, self._refused)
            self._slots, self._deploying = [], True
        return self._stepped(slot.row.gain_s, self._deploying and self.world.frame >= self.max_frames, played)

    def _shares(self, action: Any, tasks: Floats, costs: FrameCosts) -> Floats:
        """The scheduler's shares where they make sense, else local or cloud."""
        split = np.asarray(action, dtype=np.float64)
        fallback = scheduling.shares(np.zeros_like(tasks), np.zeros(self._usable().shape), costs.hosts)
        if split.shape != fallback.shape:
            self._bad_rows = int((tasks > 0.0).sum())
            return fallback
        good = (np.isfinite(split) & (split >= 0.0) & ((split == 0.0) | self._usable())).all(axis=1)
        total = np.where(good[:, None], split, 1.0).sum(axis=1)
        good &= (total > 0.0) & np.isfinite(total)
        scale = np.where(good & (np.abs(total - 1.0) > SUM_TOLERANCE), total, 1.0)
        self._bad_rows = int((~good & (tasks > 0.0)).sum())
        return np.where(good[:, None], np.where(good[:, None], split, 0.0) / scale[:, None], fallback)

    def _usable(self) -> Bools:
        """Where a share may be positive, shape (edge from, target, service)."""
        deployed = self.world.deployed
        to_edges = np.broadcast_to(deployed, (len(deployed), *deployed.shape))
        return np.concatenate([to_edges, np.ones_like(to_edges[:, :1])], axis=1)

    def _observe(self) -> dict[str, Any]:
        deployed = self.world.deployed.astype(np.int8)
        tasks = np.zeros(deployed.shape) if self._deploying else self.world.arrivals(self.world.slot).copy()
        return {**super()._observe(), SCHEDULER: {"tasks": tasks, "deployed": deployed}}

    def _infos(self, played: FrameStep | None = None) -> Infos:
        infos = super()._infos(played)
        for agent in self.edges:
            infos[agent]["acts"] = self._deploying
            infos[agent]["action_mask"] *= self._deploying
        usable = self._usable() & (not self._deploying)
        infos[SCHEDULER] = {
            "acts": not self._deploying,
            "action_mask": usable.astype(np.int8),
            "refused": "infeasible" if self._bad_rows else "",
            "refused_rows": self._bad_rows,
        }
        return infos
