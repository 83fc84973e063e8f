"""How long learned decisions and frames of a training take, in turns with what they could be replaced by.

Times are CPU time of the calling thread, medians, so that other work on the machine does not count. Everything computes
on one thread.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np

from agents.policy import Observation, Setting, make_policy
from agents.rollout import Team, scheduler_of
from agents.schedulers import make_scheduler
from agents.ttosc.knapsack import best_packing, packing_of
from emulator.assembly import resolve
from emulator.model.offloading import Floats
from emulator.scenario import Scenario
from emulator.scenario_file import load
from emulator.world import World

Progress = Callable[[str], None]
FRAMES_SEEN = 64
"""Frames whose counts are decided on, again and again; also what an update needs to be remembered."""


def _say(text: str) -> None:
    sys.stderr.write(f"bench learning: {text}\n")


def run(*, seed: int = 1, rounds: int = 300, frames: int = 100, progress: Progress = _say) -> dict[str, Any]:
    """Measures decisions, schedules and training frames on paper-ttosc (M=5 J=20 K=5).

    Args:
        seed: Of the demand.
        rounds: Decisions and slots that are timed.
        frames: Training frames that are timed, of each preset.
        progress: Is told what is being done.
    Returns: ``decision_onnx_ms`` and ``decision_torch_ms``: five agents, knapsack included, by the actors that come
        with edgerig and by the batched networks of the training; ``decision_stock_ms``: five ``torch.nn.GRU`` one
        after the other; ``knapsack_ms``: its part; ``schedule_ddpg_ms`` and ``schedule_exact_ms`` (NumPy): one slot;
        ``frame_literal_ms`` and ``frame_marginal_ms``: one frame of training whole; ``update_literal_ms`` and
        ``update_stock_ms``: the gradient step of the first, and the same by five stock modules; ratios of these; and
        ``not_measured`` with the reason, where PyTorch is missing.
    """
    scenario = resolve(msgspec.structs.replace(load("paper-ttosc", ()), seed=seed))
    world = World(scenario)
    seen = [world.frame_arrivals(frame) for frame in range(FRAMES_SEEN)]
    result: dict[str, Any] = {"clock": "thread CPU time, in turns, medians", "threads": 1, "rounds": rounds}
    contestants: dict[str, Callable[[Floats], object]] = {
        "decision_onnx_ms": _onnx_decision(scenario, world),
        "knapsack_ms": _knapsack(world),
    }
    has_torch = importlib.util.find_spec("torch") is not None
    if has_torch:
        from agents import bench_learning_torch as with_torch

        contestants |= with_torch.decisions(world, scenario.slots_per_frame, seed)
    progress(f"{rounds} decisions in turns: {', '.join(contestants)}")
    result |= _in_turns(contestants, [(counts,) for counts in seen], rounds)
    progress("slots: the learned scheduler and the exact one")
    result |= _schedules(scenario, rounds)
    if has_torch:
        progress(f"{frames} training frames of each preset")
        result |= with_torch.trainings(scenario, frames)
        result["onnx_over_torch"] = result["decision_onnx_ms"] / result["decision_torch_ms"]
        result["torch_over_stock"] = result["decision_torch_ms"] / result["decision_stock_ms"]
        result["update_over_stock"] = result["update_literal_ms"] / result["update_stock_ms"]
    else:
        result["not_measured"] = {"rows with torch": "PyTorch is missing; pip install -e '.[learn]'"}
    result["ddpg_over_exact"] = result["schedule_ddpg_ms"] / result["schedule_exact_ms"]
    return result


def _in_turns(
    contestants: Mapping[str, Callable[..., object]], inputs: list[tuple[Any, ...]], rounds: int
) -> dict[str, float]:
    """Median milliseconds of each, measured in turns on the same inputs after one call that does not count."""
    for contestant in contestants.values():
        contestant(*inputs[0])
    taken: dict[str, list[int]] = {name: [] for name in contestants}
    for k in range(rounds):
        for name, contestant in contestants.items():
            start = time.thread_time_ns()
            contestant(*inputs[k % len(inputs)])
            taken[name].append(time.thread_time_ns() - start)
    return {name: float(np.median(times)) * 1e-6 for name, times in taken.items()}


def _onnx_decision(scenario: Scenario, world: World) -> Callable[[Floats], object]:
    settings = [
        Setting(world.network, scenario.slots_per_frame, edge, scenario.seed, scenario=scenario.name)
        for edge in range(world.network.edges)
    ]
    actors = [make_policy("onnx", setting) for setting in settings]
    return lambda counts: [actor.decide(Observation(1, own)) for actor, own in zip(actors, counts, strict=True)]


def _knapsack(world: World) -> Callable[[Floats], object]:
    packing = packing_of(world.network.service_bytes, world.network.storage_bytes)
    edges = [np.array([edge]) for edge in range(world.network.edges)]
    return lambda counts: [
        best_packing(own.sum(axis=0)[None], packing, edge) for own, edge in zip(counts, edges, strict=True)
    ]


def _schedules(scenario: Scenario, rounds: int) -> dict[str, float]:
    """One slot by the learned scheduler and by the exact one in NumPy, under Popularity's deployments."""
    world, inputs = World(scenario), []
    team, exact = Team(scenario, world), scheduler_of(scenario)
    for frame in range(FRAMES_SEEN // scenario.slots_per_frame):
        deployed, _ = team.decide(frame, world.counts)
        step = world.step_frame(deployed, exact)
        inputs += [(slot.tasks, world.costs) for slot in step.slots]
    schedulers = {"schedule_ddpg_ms": make_scheduler("ddpg"), "schedule_exact_ms": make_scheduler("exact", "numpy")}
    return _in_turns({name: scheduler.schedule for name, scheduler in schedulers.items()}, inputs, rounds)
