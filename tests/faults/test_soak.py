"""The kill matrix with real processes: each kind dies at a seeded moment and comes back, in one run, twenty times."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from live_run import LiveRun
from test_deaths import KINDS, RESTARTING, check, is_new

ROUNDS = 20
LONGEST_MOMENT_S = 0.3
LONGEST_START_S = 5.0


def hurt_and_heal(run: LiveRun, seed: int) -> None:
    """Kill every kind once, in a seeded order, after seeded moments that fall into any stage of a slot."""
    draw = np.random.default_rng([seed, 0])
    for kind in draw.permutation(list(KINDS)):
        process, names, _ = KINDS[kind]
        run.until(lambda names=names: names <= run.members(), f"{process} takes part")
        run.after(draw.random() * LONGEST_MOMENT_S)
        pid = run.kill(process)
        run.until(lambda process=process, pid=pid: is_new(run, process, pid), f"{process} starts again")
        run.until(lambda names=names: names <= run.members(), f"{process} is back")
    run.go_on()


def two_at_once(run: LiveRun, seed: int) -> None:
    """Two kinds die within one slot, or within its repeated attempt."""
    pair = np.random.default_rng([seed, 1]).permutation(list(KINDS))[:2]
    pids = {KINDS[kind][0]: run.kill(KINDS[kind][0]) for kind in pair}
    for kind in pair:
        process, names, _ = KINDS[kind]
        run.until(lambda process=process: is_new(run, process, pids[process]), f"{process} starts again")
        run.until(lambda names=names: names <= run.members(), f"{process} is back")
    run.go_on()


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(ROUNDS))
def test_every_kind_dies_and_comes_back(live: Callable[..., LiveRun], seed: int) -> None:
    run = live(RESTARTING)
    run.until(lambda: run.slot() >= 3, "slot 3")
    hurt_and_heal(run, seed)
    two_at_once(run, seed)
    summary = run.stop()
    check(summary, run)
    run.nobody_left(5.0)
    assert "Traceback" not in run.log()


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(ROUNDS))
def test_a_hub_that_dies_at_any_moment_leaves_a_folder_and_no_process(live: Callable[..., LiveRun], seed: int) -> None:
    run = live(RESTARTING)
    run.until(lambda: (run.out / "hub.json").exists(), "the hub is there")
    run.after(np.random.default_rng([seed, 2]).random() * LONGEST_START_S)
    run.kill("hub")
    assert run.wait() == 3
    run.nobody_left(5.0)
    assert run.summary()["exit_code"] == 3
