"""How long decisions take, in the default world, with the actors that come with edgerig."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from agents.rollout import Team, scheduler_of
from agents.ttosc.reproduction.plan import SCENARIO
from emulator.assembly import resolve
from emulator.model.offloading import Floats, FrameCosts
from emulator.scenario_file import load
from emulator.world import World

WARM_UP_FRAMES = 10
FRAMES = 200


class Times(NamedTuple):
    """Medians, seconds of thread CPU time: a slot of all services; a frame's deployment of all edge servers."""

    scheduling_s: float
    deployment_s: float


def measured_times(frames: int = FRAMES) -> Times:
    """Measure them in this process.

    Args:
        frames: How many deployments; each has K slots.
    Returns: Medians after a warm-up.
    Source: TTOSC section V.B states the same two for the paper's own program and machine.
    """
    scenario = resolve(load(SCENARIO, [f"frames={frames + WARM_UP_FRAMES}", 'agent.policy="onnx"']))
    world = World(scenario)
    team, schedule = Team(scenario, world), scheduler_of(scenario)
    slots: list[int] = []
    decisions: list[int] = []

    def timed(tasks: Floats, costs: FrameCosts) -> Floats:
        start = time.thread_time_ns()
        split = schedule(tasks, costs)
        slots.append(time.thread_time_ns() - start)
        return split

    for frame in range(scenario.frames):
        start = time.thread_time_ns()
        wanted, _ = team.decide(frame, world.counts)
        decisions.append(time.thread_time_ns() - start)
        world.step_frame(wanted, timed)
    warm_slots = WARM_UP_FRAMES * scenario.slots_per_frame
    return Times(1e-9 * float(np.median(slots[warm_slots:])), 1e-9 * float(np.median(decisions[WARM_UP_FRAMES:])))
