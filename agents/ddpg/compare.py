"""Schedulers on the same deployments and the same tasks, against the exact one.

``python -m agents.ddpg.compare --seeds 5`` prints the table of docs/learning.md. Each seed draws services, popularity
and arrivals; none of them is a world of the training, as long as seeds are not those that were trained with.

Source: TTOSC section V.A names the baseline, not how it does on given deployments; the comparison is ours.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Final

import numpy as np

from agents.errors import AgentError
from agents.intervals import interval
from agents.rollout import mean_delay_s
from emulator.assembly import resolve
from emulator.model.offloading import Floats
from emulator.scenario_file import load

SCHEDULERS: Final = ("exact", "ddpg", "greedy", "nearest")
DEPLOYERS: Final = ("popularity", "ils:30", "random")
FIRST_SEED: Final = 101
FRAMES: Final = 25


def compare(
    schedulers: Sequence[str],
    deployers: Sequence[str],
    seeds: Sequence[int],
    changes: Sequence[str] = (),
    frames: int = FRAMES,
) -> Floats:
    """Mean delay of whole runs in this process; what is deployed does not depend on who schedules.

    Args:
        schedulers: Their SPECs.
        deployers: SPECs of deployment policies that look at tasks alone.
        seeds: Each draws a world of its own.
        changes: Further overrides of paper-ttosc.
        frames: Frames of a run.
    Returns: Seconds per task, shape (deployer, scheduler, seed).
    """
    found = np.empty((len(deployers), len(schedulers), len(seeds)))
    for i, deployer in enumerate(deployers):
        for j, scheduler in enumerate(schedulers):
            for k, seed in enumerate(seeds):
                own = (f'agent.policy="{deployer}"', f'scheduler.kind="{scheduler}"', f"frames={frames}")
                scenario = load("paper-ttosc", [f"seed={seed}", f"world_seed={seed}", *own, *changes])
                found[i, j, k] = mean_delay_s(resolve(scenario))
    return found


def table(found: Floats, schedulers: Sequence[str], deployers: Sequence[str]) -> str:
    """Delays, and ratios to the first scheduler paired by seed, in Markdown."""
    heads = [
        "deployed by",
        *(f"{name}, s" if k == 0 else f"{name} / {schedulers[0]}" for k, name in enumerate(schedulers)),
    ]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for deployer, own in zip(deployers, found, strict=True):
        ratios = [interval(each / own[0]) for each in own[1:]]
        cells = [deployer, f"{own[0].mean():.3f}", *(f"{part.mean:.4f} ± {part.half:.4f}" for part in ratios)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare from the command line."""
    parser = argparse.ArgumentParser(prog="python -m agents.ddpg.compare", description="Compare schedulers.")
    parser.add_argument("--seeds", type=int, default=5, help="worlds, at least 2")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--ddpg", default="ddpg", metavar="SPEC", help="the learned one: ddpg or ddpg:FILE")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE")
    chosen = parser.parse_args(arguments)
    if chosen.seeds < 2:
        parser.error("give at least 2 seeds")
    schedulers = [chosen.ddpg if name == "ddpg" else name for name in SCHEDULERS]
    seeds = range(chosen.first_seed, chosen.first_seed + chosen.seeds)
    try:
        found = compare(schedulers, DEPLOYERS, seeds, chosen.changes)
    except AgentError as error:
        parser.error(str(error))
    sys.stdout.write(table(found, ["ddpg" if "ddpg" in name else name for name in schedulers], DEPLOYERS) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
