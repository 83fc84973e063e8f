"""The parts of a case: what its networks are asked, each kept as soon as it is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from agents.extras import require_onnx, require_torch
from agents.n2o.copies import Floats, played
from agents.n2o.judge import JUDGED_SLOTS
from agents.n2o.reproduction import adapting, deciding, distilling, headroom
from agents.n2o.reproduction.measuring import Found, Part, Stops, Store, Watch, result_of, world_of
from agents.n2o.reproduction.networks import Networks
from agents.n2o.reproduction.plan import (
    ADAPTED,
    BY,
    CENTRALIZED,
    DECISIONS,
    DISTILLED_MAX_SUM,
    DISTILLED_N2O,
    EXACT,
    FLOORS,
    HEADROOM,
    LOCAL,
    Case,
    Job,
)
from agents.n2o.tables import Ints
from agents.n2o.worlds import copies_to_judge
from agents.rental_policy import RentalObservation, RentalSetting, make_rental_policy
from agents.reproduction import crew
from agents.reproduction.crew import Progress, Stopped

LARGE = 16
"""From more edge servers on, P2's exact maximum is only looked at in one episode of each copy."""

TRAIN_S = {4: 8.0, 9: 12.0, 16: 18.0, 25: 28.0}
"""About how long a training takes, CPU seconds for 1,000 steps: nothing but the estimate rests on these."""

ASK_S = {HEADROOM: 2.0, DISTILLED_N2O: 5.0, DISTILLED_MAX_SUM: 5.0, ADAPTED: 2.5}
"""The same of a part, CPU seconds an edge server; half a second for the others."""


def missing(jobs: Iterable[Job], store: Store) -> list[Job]:
    """Jobs with the parts that are not made yet, in their order."""
    found = []
    for job in jobs:
        parts = tuple(part for part in job.parts if store.get(Part(job.case, part)) is None)
        if parts:
            found.append(job._replace(parts=parts))
    return found


def make(todo: Sequence[Job], store: Store, *, jobs: int, tell: Callable[[Progress], None]) -> bool:
    """Make what is missing.

    Args:
        todo: What ``missing`` found.
        store: Where it goes.
        jobs: At a time.
        tell: Hears now and then how far it is.
    Returns: Whether all was made; False if a signal asked to stop before.
    Raises: AgentError: an extra is missing, before anything is made.
    """
    if todo:
        require_torch()
        require_onnx()
    store.open()
    return crew.make(todo, crew.Work(partial(_job, store), weight_of, words), jobs=jobs, tell=tell)


def weight_of(job: Job) -> float:
    """About how many CPU seconds a job takes."""
    case = job.case
    step_s = 1e-3 * TRAIN_S.get(case.edges, 8.0)
    steps = {
        LOCAL: case.steps,
        CENTRALIZED: case.steps * (6.0 if case.edges > 4 else 1.0),
        ADAPTED: (1.0 + adapting.SHARE) * case.steps,
    }
    trained = sum(steps.get(part, 0.0) for part in job.parts) * step_s
    return trained + case.edges * sum(ASK_S.get(part, 0.5) for part in job.parts)


def words(job: Job) -> str:
    """A job in words."""
    case = job.case
    return f"{case.world}, N = {case.edges}, {case.units} units, seed {case.seed}: {job.parts[-1]}"


def _job(store: Store, job: Job, stopped: Stops) -> None:
    for part in job.parts:
        if stopped():
            raise Stopped
        measurement = Part(job.case, part)
        watch = Watch()
        found, spent = measured(measurement, store.trainings, stopped)
        cpu_s, wall_s = spent or (watch.cpu_s, watch.wall_s)
        store.put(store.key_of(measurement), result_of(measurement, found, cpu_s, wall_s))


def measured(
    measurement: Part, trainings: Path, stopped: Stops = lambda: False
) -> tuple[Found, tuple[float, float] | None]:
    """Make a measurement.

    Args:
        measurement: What.
        trainings: Folder of all trainings; networks that are not there are trained first.
        stopped: Asked now and then.
    Returns: What was found; and of a training what it took, seconds of the process and of the clock.
    Raises: Stopped: it was asked to stop; AgentError: an extra is missing.
    """
    case, part = measurement.case, measurement.part
    if part.startswith(BY) and part.removeprefix(BY) in FLOORS:
        return _floor(case, part.removeprefix(BY)), None
    networks = Networks(trainings, case, part)
    networks.train(stopped)
    if part == CENTRALIZED:
        return _centralized(networks), networks.spent
    if part == LOCAL:
        return Found(numbers=networks.curve()), networks.spent
    if part.startswith(BY):
        return _by(networks, part.removeprefix(BY)), None
    if part == ADAPTED:
        return adapting.adapted(networks, stopped), None
    return _ASKED[part](networks), None


def _by(networks: Networks, spec: str) -> Found:
    """Episodes in which the local networks decide together."""
    world, case = networks.world, networks.case
    large = spec == EXACT and case.edges > LARGE
    episodes = 1 if large else -(-JUDGED_SLOTS // world.episode_slots)
    return Found(played(world, networks.team.decider(spec), episodes), world.copies)


def _centralized(networks: Networks) -> Found:
    from agents.n2o.joint import learner_of

    preset, world = networks.folder.preset(), networks.world
    learner = learner_of(preset, world.layout, networks.case.seed)
    learner.take(networks.weights)
    layout = world.layout
    episodes = -(-JUDGED_SLOTS // world.episode_slots)
    counted = played(world, lambda seen: learner.greedy(layout.scaled(seen)), episodes)
    return Found(counted, world.copies, networks.curve())


def _floor(case: Case, spec: str) -> Found:
    """Episodes of a policy that learns nothing, in the same copies."""
    world = copies_to_judge(world_of(case), case.judges)
    specs = [one.partition("=")[2] if one.startswith("0=") else one for one in spec.split(",")]
    of_edge = [specs[0] if edge == 0 else specs[-1] for edge in range(case.edges)]
    plan = world.world.plan
    made = [
        [make_rental_policy(each, RentalSetting(plan, edge, 1 + copy)) for edge, each in enumerate(of_edge)]
        for copy in range(world.copies)
    ]

    def decide(seen: Floats) -> Ints:
        slot = world.world.slot
        return np.array(
            [
                [policy.decide(RentalObservation(slot, own)) for policy, own in zip(policies, here, strict=True)]
                for policies, here in zip(made, seen, strict=True)
            ]
        )

    return Found(played(world, decide, -(-JUDGED_SLOTS // world.episode_slots)), world.copies)


_ASKED: dict[str, Callable[[Networks], Found]] = {
    HEADROOM: headroom.recovered,
    DECISIONS: deciding.decisions,
    DISTILLED_N2O: distilling.from_n2o,
    DISTILLED_MAX_SUM: distilling.from_max_sum,
}
