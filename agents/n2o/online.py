"""The policy ``madql-online``: multi-agent deep Q-learning for one edge server, which learns while it decides.

It knows what the second paper lets an agent know: its own five numbers, its own reward, and what its neighbours rented.
It needs PyTorch, which is loaded with the first decision: who only checks a SPEC starts without.
"""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec
import numpy as np

from agents.checkpoint import SCENARIO, TRAINING, Arrays
from agents.errors import AgentError
from agents.extras import require_torch
from agents.learned_state import Start, facts_of, keep, read_run, state_path, take_up
from agents.n2o.checkpoint import Folder
from agents.n2o.layout import Layout, Singles
from agents.n2o.online_log import LEARNED, OnlineLog, OnlineRow
from agents.n2o.presets import ONLINE, Preset
from agents.n2o.replay import Slots
from agents.n2o.tables import Ints, LocalTable, lacking
from agents.n2o.worlds import layout_of
from agents.policy import Figures
from agents.rental_networks import own_edge
from agents.rental_policy import RentalExperience, RentalObservation, RentalPolicy, RentalSetting, register
from emulator.rental_plan import build_plan, resolve_rental

if TYPE_CHECKING:
    from agents.n2o.learner import Learner

NAME: Final = "madql-online"

_log = logging.getLogger("agent")


class OnlineRental:
    """One agent of MA-DQL that decides, remembers and learns by itself, slot by slot."""

    observes: Literal["local"] = "local"

    def __init__(self, setting: RentalSetting, start: Start) -> None:
        """Make an agent that learns on from a start.

        Args:
            setting: The world; with a ``state`` that is where ``save`` keeps what was learned.
            start: Where it begins.
        """
        self._edge = own_edge(setting)
        self._setting = setting
        self._start = start
        self._layout = layout_of(setting.plan).alone(self._edge)
        self._learned = start.steps  # up to which slot, counted from the beginning of all learning
        self._log = OnlineLog(None if setting.state is None else setting.state / LEARNED)
        self._made: Learner | None = None
        self._loss = float("nan")

    @property
    def learner(self) -> Learner:
        """Network, optimiser and memory; made when first needed."""
        if self._made is None:
            from agents.n2o.learner import Learner

            self._made = Learner(self._start.preset, self._layout, self._setting.seed)
            if self._start.arrays is not None:
                self._made.restore(self._start.arrays)
            self._act_by_what_is_learned()
        return self._made

    def decide(self, observation: RentalObservation) -> int:
        """The own entry of the best row of the own table, or with the probability of its age something random.

        Source: N2O section III.B.1, pi_n(o_n; theta_n); the exploration is ours.
        """
        seen = self._layout.scaled(observation.values)[None, None]
        rented = self._with_some_away(seen, observation.slot)
        return int(self.learner.decide(self._start.steps + observation.slot, seen, rented)[0, 0])

    def _with_some_away(self, seen: Singles, slot: int) -> Ints | None:
        """What is best while some neighbours are away, shape (1, 1); None while all are there."""
        plan, edge = self._setting.plan, self._edge
        if not plan.away(slot):
            return None
        away = lacking(plan.graph.neighbours[edge], plan.graph_at(slot).neighbours[edge])
        (table,) = self.learner.tables(seen)
        return LocalTable(table.values[0].numpy(), self._layout.actions).without(away).best()[:, :1]

    def learn(self, experience: RentalExperience) -> None:
        """Remember a slot and take one step of gradient descent.

        Source: N2O section III.B and Appendix A, on the own reward and the neighbours' rentals.
        """
        from agents.tensors import one_thread

        one_thread()  # what PyTorch was told counts for the thread that told it
        learner, outcome = self.learner, experience.outcome
        step = self._start.steps + outcome.slot
        ended = self._setting.plan.episode(outcome.slot + 1) == outcome.slot + 1
        learner.remember(
            Slots(
                self._layout.scaled(experience.seen)[None, None],
                outcome.units[None],
                np.array(outcome.reward, dtype=np.float32).reshape(1, 1),
                self._layout.scaled(experience.seen_next)[None, None],
                np.array([ended]),
            )
        )
        self._loss = learner.learn(step)
        self._act_by_what_is_learned()
        self._learned = step + 1
        self._log.add(OnlineRow(outcome.slot, float(outcome.reward), learner.preset.epsilon_of(step), self._loss))

    def figures(self) -> Figures:
        """How learning goes, as of the last slot that was learned from."""
        return Figures(self._loss, self._start.preset.epsilon_of(self._learned), self.learner.remembered)

    def _act_by_what_is_learned(self) -> None:
        """Decide by a copy, since on the wall clock it is decided while it learns."""
        from agents.tensors import copied

        self.learner.acting = copied(self.learner.weights)

    # -- what is kept --------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Keep weights, target network, optimiser, memory, and the counter that exploration and draws follow.

        Raises: AgentError: the disk does not take it.
        """
        folder = self._setting.state
        if folder is None:
            return
        keep(folder, self.learner.arrays(), self._facts(), self._learned)
        try:
            self._log.write()
        except OSError as error:
            raise AgentError(f"{folder / LEARNED}: cannot be written ({error.strerror}); make room") from None

    def resume(self) -> None:
        """Take up what ``save`` kept earlier in this run; what another seed's episode left is not taken."""
        found = take_up(self._setting.state, self._facts())
        if found is None:
            return
        self._learned, saved = found
        self.learner.restore(saved)
        self._act_by_what_is_learned()
        self._log.go_on()
        count = int(saved["replay.added"])
        _log.info("/agent/%d goes on with what it learned up to slot %d (%d slots)", self._edge, self._learned, count)

    def _facts(self) -> Arrays:
        """What a state is of."""
        return facts_of(self._edge, self._setting.seed, self._start, world_of(self._layout))


def world_of(layout: Layout) -> str:
    """What a network must find in a world that it was learned in another of: neighbours, rentals, scales."""
    return msgspec.json.encode([layout.graph.neighbours, layout.actions, layout.centre, layout.scale]).decode()


def start_of(argument: str, setting: RentalSetting) -> Start:
    """What stands after ``madql-online:`` in a SPEC: nothing, a folder of a training, or one of a run that learned.

    Raises: AgentError: it is none of these, or of another world.
    """
    if not argument:
        return Start(ONLINE)
    path, edge = Path(argument), own_edge(setting)
    if (path / SCENARIO).exists() and (path / TRAINING).exists():
        return _of_training(Folder(path), setting)
    preset, slots, world, saved = read_state(path, edge)
    _check(path, world, setting)
    return Start(preset, slots, saved)


def read_state(run: Path, edge: int) -> tuple[Preset, int, str, Arrays]:
    """What an agent of a run learned: how, from how many slots, in which world, and what learning goes on from.

    Raises: AgentError: it has learned nothing, or what it kept cannot be read.
    """
    found = read_run(run, edge, Preset)
    if found is None:
        raise AgentError(
            f"{run}: is no folder of `edgerig train n2o`, and no run whose agent of edge {edge} learned "
            f"({state_path(run, edge)} is missing); `edgerig run SCENARIO --agent {NAME}` makes one"
        )
    return found


def _of_training(folder: Folder, setting: RentalSetting) -> Start:
    layout = layout_of(build_plan(resolve_rental(folder.scenario())))
    _check(folder.path, world_of(layout), setting)
    preset, saved = folder.preset(), folder.saved()
    if preset.method == "centralized":
        raise AgentError(f"{folder.path}: trained one network for all; agents that learn on take madql or coordinated")
    if saved is None:
        raise AgentError(f"{folder.path}: has no checkpoint yet; let it train longer")
    # The memory of a training is of many worlds at once; the newest part of it is as long as an agent's of a run.
    own = dataclasses.replace(preset, method="madql", copies=1, capacity_steps=ONLINE.capacity_steps)
    return Start(own, saved[0], of_agent(saved[1], layout.alone(own_edge(setting)), own.capacity_steps))


def of_agent(arrays: Arrays, layout: Layout, slots: int) -> Arrays:
    """One agent's part of what agents that were trained together go on from, with so many slots of memory.

    Args:
        arrays: Of all.
        layout: Of the one.
        slots: Most slots of memory, the newest.
    """
    edge, known = layout.members[0], list(layout.known)
    kept = len(arrays["replay.ended"])
    newest = ((np.arange(kept) + int(arrays["replay.added"])) % kept)[-slots:]
    found: Arrays = {}
    for name, value in arrays.items():
        kind, _, part = name.partition(".")
        if kind != "replay":
            found[name] = value[edge : edge + 1] if value.ndim else value
        elif value.ndim:
            rows = value[newest]
            columns = {"rented": known, "ended": None}.get(part, [edge])
            found[name] = rows if columns is None else rows[:, columns]
    return {**found, "replay.added": np.array(len(newest))}


def _check(path: Path, world: str, setting: RentalSetting) -> None:
    if world != world_of(layout_of(setting.plan)):
        raise AgentError(
            f"{path}: learned in another world (edge servers, neighbours, units or scales differ); use its scenario, "
            f"or begin from nothing: {NAME}"
        )


@register(NAME, "local")
def _online(setting: RentalSetting, argument: str) -> RentalPolicy:
    """An agent that learns on the bus."""
    require_torch()
    return OnlineRental(setting, start_of(argument, setting))
