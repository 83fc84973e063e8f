"""Distilling a planner that sees everything and searches long into actors that see their own cell and answer at once.

The first round prices every service of every server beside the teacher's deployments, each frame with the tasks that
came: how much longer they would have taken without it, by the exact schedule. An actor learns to tell these prices from
what its own cell showed before. Later rounds price the services beside the actors' own deployments, since that is what
each of them will find, and average over the rounds; so the actors settle on who deploys what.

Source: ours; the reduction to rounds that are priced where the learner itself goes follows DAgger (Ross et al. 2011).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from agents.checkpoint import CURVE, Arrays
from agents.curve import Axes, draw_curve
from agents.errors import AgentError
from agents.extras import require_torch
from agents.policy import observes
from agents.training import TELL_S, refuse_untrainable
from agents.ttosc.checkpoint import DistilledFolder, RoundRow
from agents.ttosc.lessons import Lessons, Prices, scenarios_of
from agents.ttosc.presets import Distillation
from emulator.assembly import resolve
from emulator.model.offloading import Bools
from emulator.scenario import Scenario

if TYPE_CHECKING:
    from agents.ttosc.student import Student

HELD_OUT = 0.2
"""Share that is never learned from: of the frames, the last ones; or of the worlds, where there are several."""

BESIDE = ("popularity", "greedy")
"""Whom the actors are compared with, beside their teacher."""

LEAST_FRAMES, LEAST_WORLDS = 10, 5

Tell = Callable[[str], None]
Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True)
class Distilled:
    """How a distillation ended; delays are means over the frames that were held out, seconds per task.

    Attributes:
        folder: Where it is.
        rounds: Rounds that are done.
        wanted: Rounds that were to be done; more than ``rounds`` if it was stopped.
        delay_s: Of the actors.
        beside_s: Of the teacher, Popularity and Greedy, by their names.
        counted: How many frames were held out.
    """

    folder: Path
    rounds: int
    wanted: int
    delay_s: float
    beside_s: dict[str, float]
    counted: int


class Stopped(Exception):
    """Somebody asked to stop."""


class School:
    """The frames to learn from and those that are held out, of one world or of many."""

    def __init__(self, scenario: Scenario, how: Distillation, stopped: Callable[[], bool], tell: Tell) -> None:
        """Draw them all.

        Raises: Stopped.
        """
        self._stopped, self._tell = stopped, tell
        self._told_s = time.monotonic()
        scenarios = scenarios_of(scenario, how.worlds)
        self._worlds = [Lessons(each) for each in self._counted("worlds are drawn", scenarios, len(scenarios))]
        learned = round((1.0 - HELD_OUT) * (how.worlds or len(self._worlds[0])))
        self._parts: dict[bool, list[tuple[int, slice]]] = {False: [], True: []}
        for number, world in enumerate(self._worlds):
            if how.worlds:
                self._parts[number >= learned].append((number, slice(0, len(world))))
            else:
                self._parts = {False: [(0, slice(0, learned))], True: [(0, slice(learned, len(world)))]}
        self.counted = sum(part.stop - part.start for _, part in self._parts[True])
        self.features = np.concatenate([self._worlds[number].features[part] for number, part in self._parts[False]])

    def planned(self, spec: str) -> list[Bools]:
        """A policy's deployments in every world, each of shape (frame, edge, service)."""
        frames = sum(len(world) for world in self._worlds)
        plans = (plan for world in self._worlds for plan in world.plans(spec))
        every = np.stack(list(self._counted(f"{spec} plans frames", plans, frames)))
        return np.split(every, np.cumsum([len(world) for world in self._worlds])[:-1])

    def priced(self, plans: list[Bools], *, held_out: bool) -> Prices:
        """What deployments of every world were worth, in the frames to learn from or in the others."""
        return self._joined(
            self._worlds[number].priced(plans[number][part], part.start, self._stopped)
            for number, part in self._parts[held_out]
        )

    def valued(self, student: Student, *, held_out: bool) -> Prices:
        """What the actors' own deployments were worth."""
        return self._joined(
            world.priced(world.packed(student.values(world.features[part])), part.start, self._stopped)
            for world, part in ((self._worlds[number], part) for number, part in self._parts[held_out])
        )

    def _joined(self, found: Iterable[Prices]) -> Prices:
        parts = list(found)
        if self._stopped():
            raise Stopped
        return Prices(*(np.concatenate(each) for each in zip(*parts, strict=True)))

    def _counted(self, what: str, things: Iterable[Thing], total: int) -> Iterator[Thing]:
        """Passes things on, tells how far they are, and ends when somebody asks to stop."""
        began_s = time.monotonic()
        for done, thing in enumerate(things):
            yield thing
            if self._stopped():
                raise Stopped
            now_s = time.monotonic()
            if now_s - self._told_s >= TELL_S:
                self._told_s = now_s
                left_s = (now_s - began_s) / (done + 1) * (total - done - 1)
                self._tell(f"{what}: {done + 1} of {total}, {left_s:.0f} s left of this")


def distill(
    folder: DistilledFolder, *, stopped: Callable[[], bool] = lambda: False, tell: Tell = lambda text: None
) -> Distilled:
    """Distil from the folder's last checkpoint, or from the start, until all its rounds are done.

    Args:
        folder: Says what and how; gets checkpoints, log and curve.
        stopped: Asked after each frame; true ends it with the last whole round, to be resumed.
        tell: Hears every two seconds how far it is.
    Raises: AgentError: PyTorch is missing, or this world cannot be learned in.
    """
    require_torch()
    scenario, how = resolve(folder.scenario()), folder.preset()
    refuse_untrainable(scenario)
    _check(scenario, how)
    counted = 0
    try:
        school = School(scenario, how, stopped, tell)
        counted = school.counted
        _rounds(folder, how, scenario, school, tell)
    except Stopped:
        tell("stopped; the last whole round is kept")
    saved = folder.saved()
    done, beside = (saved[0], _beside(saved[1], how)) if saved else (0, {})
    rows = folder.rows(done)
    if rows:
        axes = Axes(
            f"{scenario.name}, distilled from {how.teacher}", "round", "mean delay, s per task", 3, from_zero=True
        )
        lines = {name: np.full(len(rows), delay_s) for name, delay_s in beside.items()}
        draw_curve(folder.path / CURVE, np.array([row.held_out_s for row in rows]), lines, axes)
    return Distilled(folder.path, done, how.rounds, rows[-1].held_out_s if rows else np.nan, beside, counted)


def _rounds(folder: DistilledFolder, how: Distillation, scenario: Scenario, school: School, tell: Tell) -> None:
    """All rounds that are left, a checkpoint behind each."""
    from agents.ttosc.student import Student

    own = None if how.worlds else (scenario.edges.count, scenario.services.count)
    student = Student(how, own, scenario.seed)
    saved = folder.saved()
    if saved is None:
        first, plans = 0, school.planned(how.teacher)
        compared = [plans, *(school.planned(name) for name in BESIDE)]
        beside = np.array([school.priced(each, held_out=True).delays_s.mean() for each in compared])
        prices = school.priced(plans, held_out=False)
        wanted = prices.gains
    else:
        first, arrays = saved
        student.restore(arrays)
        wanted, beside = arrays["prices"].astype(np.float32), arrays["beside"].astype(np.float64)
    rows = folder.rows(first)
    began_s = time.monotonic()
    for number in range(first, how.rounds):
        if number:
            prices = school.valued(student, held_out=False)
            wanted = ((1.0 - how.trust) * wanted + how.trust * prices.gains).astype(np.float32)
        loss = student.learn(number, school.features, wanted)
        held_out_s = float(school.valued(student, held_out=True).delays_s.mean())
        rows.append(
            RoundRow(number, student.rate(number), loss, float(prices.delays_s.mean()), held_out_s, float(beside[1]))
        )
        folder.log(rows)
        folder.save(number + 1, {**student.arrays(), "prices": wanted, "beside": beside})
        left_s = (time.monotonic() - began_s) / (number + 1 - first) * (how.rounds - number - 1)
        tell(f"round {number + 1} of {how.rounds}, {held_out_s / beside[1]:.3f} x Popularity, {left_s:.0f} s left")


def _beside(arrays: Arrays, how: Distillation) -> dict[str, float]:
    return dict(zip((how.teacher, *BESIDE), arrays["beside"].astype(np.float64).tolist(), strict=True))


def known_planner(spec: str) -> None:
    """Refuse a teacher that is none.

    Raises: AgentError: there is no such policy, or it sees no more than the actors do.
    """
    if observes(spec) != "network":
        raise AgentError(f"teacher {spec!r}: sees its own cell only, as the actors do; choose ils, ils:N or oracle")


def _check(scenario: Scenario, how: Distillation) -> None:
    """Refuse what could not be learned from, before anything is drawn.

    Raises: AgentError.
    """
    if scenario.frames < LEAST_FRAMES:
        raise AgentError(
            f"{scenario.name}: {scenario.frames} frames are too few to learn from; {LEAST_FRAMES} at least"
        )
    if 0 < how.worlds < LEAST_WORLDS:
        raise AgentError(f"{how.worlds} worlds are too few for an actor of any world; {LEAST_WORLDS} at least")
    if how.worlds and scenario.demand.kind == "trace":
        raise AgentError(
            f"{scenario.name}: its demand is a trace, so no other worlds can be drawn; leave out --any-world"
        )
