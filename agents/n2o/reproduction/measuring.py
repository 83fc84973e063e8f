"""Measurements of the rental world: networks are trained once for a case, then asked part by part."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from agents.n2o.copies import Floats, Played
from agents.n2o.presets import Preset, preset_of
from agents.n2o.reproduction.plan import CENTRALIZED, LOCAL, WORLDS, Case
from agents.reproduction import store
from agents.reproduction.store import world_text
from emulator.scenario import Scenario
from emulator.scenario_file import load

VERSION = 1
"""Of what a measurement means; one of another version is made again."""

BLOCKS = 60
"""Points that a learning curve is kept as, each a mean of as many episodes."""


class Part(msgspec.Struct, frozen=True):
    """A case and what is measured of it; the key of a measurement.

    Attributes:
        case: The case.
        part: See ``plan``.
    """

    case: Case
    part: str


class Result(msgspec.Struct, frozen=True):
    """What was measured.

    Attributes:
        version: See ``VERSION``.
        what: The measurement in words, for people.
        rewards: Of each episode that was counted, copy after copy, episode after episode.
        copies: Copies of the world that these are of.
        numbers: Everything else, by name.
        cpu_s: What it took, seconds of this process.
        wall_s: The same on the clock.
    """

    version: int
    what: dict[str, Any]
    rewards: list[float]
    copies: int
    numbers: dict[str, list[float]]
    cpu_s: float
    wall_s: float

    @property
    def by_episode(self) -> Floats:
        """Rewards, shape (episode, copy)."""
        return np.array(self.rewards).reshape(-1, self.copies)

    @property
    def reward(self) -> float:
        """Mean reward of an episode."""
        return float(np.mean(self.rewards))


@dataclass(frozen=True, slots=True)
class Found:
    """What a part came to: episodes, the copies they were counted in, and other numbers."""

    played: Played | None = None
    copies: int = 0
    numbers: dict[str, list[float]] | None = None


class Watch:
    """Seconds of this process and of the clock since it was made."""

    def __init__(self) -> None:
        self._cpu_s, self._wall_s = time.process_time(), time.monotonic()

    @property
    def cpu_s(self) -> float:
        """Of this process."""
        return time.process_time() - self._cpu_s

    @property
    def wall_s(self) -> float:
        """Of the clock."""
        return time.monotonic() - self._wall_s


def world_of(case: Case) -> Scenario:
    """The scenario of a case."""
    name, changes = WORLDS[case.world]
    units = () if case.units == 2 else (f"rental.units={case.units}",)
    return load(name, (*changes, f"edges.count={case.edges}", f"seed={case.seed}", *units))


def preset_for(case: Case, part: str) -> Preset:
    """How the networks that a part asks are trained."""
    method = CENTRALIZED if part == CENTRALIZED else LOCAL
    return preset_of("centralized" if method == CENTRALIZED else "madql", case.edges, case.steps, double=False)


def training_key(case: Case, part: str) -> str:
    """What the networks that a part asks are kept under."""
    return _hashed([VERSION, world_text(world_of(case)), msgspec.to_builtins(preset_for(case, part))])


def key_of(measurement: Part) -> str:
    """What a measurement is kept under: it covers the whole scenario, the training and the part."""
    case = measurement.case
    return _hashed([training_key(case, measurement.part), measurement.part, case.judges])


def _hashed(facts: list[Any]) -> str:
    return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=12).hexdigest()


def result_of(measurement: Part, found: Found, cpu_s: float, wall_s: float) -> Result:
    """A part as it is kept."""
    rewards = [] if found.played is None else found.played.rewards.tolist()
    what = {**measurement.case._asdict(), "part": measurement.part}
    return Result(VERSION, what, rewards, found.copies, found.numbers or {}, cpu_s, wall_s)


def blocks(values: Floats, count: int = BLOCKS) -> list[float]:
    """Means of so many consecutive parts of equal size, fewer where there are fewer values; a rest is left out."""
    size = max(1, len(values) // count)
    whole = len(values) // size
    return values[: whole * size].reshape(whole, size).mean(axis=1).tolist()


class Store(store.Store[Part, Result]):
    """The folder of a reproduction of N2O."""

    def __init__(self, path: Path) -> None:
        """See ``agents.reproduction.store.Store``."""
        super().__init__(path, Result, VERSION, key_of)


Stops = Callable[[], bool]
