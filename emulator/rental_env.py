"""The rental world as a PettingZoo parallel environment: a step is a slot, and everybody has a reward of its own.

Needs the extra ``learn``; ``emulator.env`` makes one. To train on many worlds at once take ``emulator.rental_world``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

try:
    from gymnasium import spaces
    from pettingzoo import ParallelEnv
except ImportError as missing:
    raise ImportError(f"emulator.rental_env: {missing.name} is missing; install the extra 'learn'") from missing

from emulator.env_seeds import EpisodeSeeds
from emulator.rental_world import Played, RentalWorld
from emulator.scenario import Scenario

Infos = dict[str, dict[str, Any]]


class RentalEnv(ParallelEnv[str, Any, Any]):  # type: ignore[misc,unused-ignore]
    """Edge servers rent units of compute slot by slot, each for its own reward."""

    metadata = {"name": "edgerig_rental_v0", "render_modes": []}  # noqa: RUF012 -- as PettingZoo declares it
    render_mode = None

    def __init__(self, scenario: Scenario, max_slots: int) -> None:
        """An environment of a resolved scenario whose episodes end after ``max_slots``."""
        self.scenario = scenario
        self.max_slots = max_slots
        self.world = RentalWorld(scenario)
        self.possible_agents = [f"edge_{m}" for m in range(self.world.edges)]
        self.agents: list[str] = []
        self.observation_spaces: dict[str, Any] = {
            agent: spaces.Box(0.0, np.inf, (5,), np.float64) for agent in self.possible_agents
        }
        self.action_spaces: dict[str, Any] = {
            agent: spaces.Discrete(self.world.most_units + 1) for agent in self.possible_agents
        }
        self._seeds = EpisodeSeeds(scenario.seed)

    def observation_space(self, agent: str) -> Any:
        """The space of what an agent observes, the same object each time."""
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
        self.world.reset([self._seeds.following(seed)])
        self.agents = list(self.possible_agents)
        self._units = np.zeros(self.world.edges, dtype=np.int64)
        return self._observe(), self._infos(None)

    def step(
        self, actions: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], Infos]:
        """Play a slot.

        Args:
            actions: Units to rent, 0..K, of each edge server.
        Raises: ValueError: the episode is over, an agent is missing, or a number is none of 0..K.
        """
        if not self.agents:
            raise ValueError("step: the episode is over; call reset")
        absent = [agent for agent in self.agents if agent not in actions]
        if absent:
            raise ValueError(f"step: no action of {', '.join(absent)}")
        wrong = [agent for agent in self.agents if not self.action_spaces[agent].contains(_whole(actions[agent]))]
        if wrong:
            raise ValueError(f"step: {wrong[0]} rents {actions[wrong[0]]!r}; choose 0..{self.world.most_units}")
        self._units = np.array([int(actions[agent]) for agent in self.agents])
        played = self.world.step(self._units[None])
        over = played.slot + 1 >= self.max_slots
        agents = self.agents
        rewards = {agent: float(played.reward[0, m]) for m, agent in enumerate(agents)}
        result = (
            self._observe(),
            rewards,
            dict.fromkeys(agents, False),
            dict.fromkeys(agents, over),
            self._infos(played),
        )
        if over:
            self.agents = []
        return result

    def state(self) -> NDArray[np.float64]:
        """What all edge servers observe, shape (edge, 5)."""
        return self.world.observed[0].copy()

    def render(self) -> None:
        """Nothing is drawn."""

    def close(self) -> None:
        """Nothing is held open."""

    def _observe(self) -> dict[str, Any]:
        return {agent: self.world.observed[0, m].copy() for m, agent in enumerate(self.possible_agents)}

    def _infos(self, played: Played | None) -> Infos:
        infos: Infos = {}
        for m, agent in enumerate(self.possible_agents):
            near = list(self.world.graph.neighbours[m])
            infos[agent] = {"neighbours": [f"edge_{n}" for n in near], "neighbour_units": self._units[near]}
            if played is not None:
                infos[agent]["users"] = int(played.settled.users[0, m])
                infos[agent]["tasks"] = float(played.settled.tasks[0, m])
                infos[agent]["compute_s"] = float(played.settled.compute_s[0, m])
        return infos


def _whole(action: Any) -> Any:
    """A number as the space of whole numbers wants it; anything else as it is."""
    found = np.asarray(action)
    return found[()] if found.shape == () and np.issubdtype(found.dtype, np.integer) else action


def rental_env(scenario: Scenario, max_slots: int | None = None) -> RentalEnv:
    """An environment of a scenario of the rental world.

    Args:
        scenario: Resolved.
        max_slots: Slots of an episode; ``rental.episode_slots`` if not given, the scenario's slots where that is 0.
    Raises: ValueError: no slots.
    """
    length = scenario.rental.episode_slots if scenario.rental is not None else 0
    slots = (length or scenario.slots) if max_slots is None else max_slots
    if slots < 1:
        raise ValueError(f"max_frames: is {slots}; an episode needs at least 1")
    return RentalEnv(scenario, slots)
