"""The paper's Greedy, both halves, against its definition worked out task by task with nothing of ours but the figures.

"Local count x cloud delay / size, fill storage, and all tasks of (m, j) go to the node with least delay if alone"
(docs/decisions/0005). Filling stops at services that nobody asked for.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from agents.bench_scheduler import usual_network, usual_tasks
from agents.policy import Observation, Setting, make_policy
from agents.rollout import play
from agents.schedulers import make_scheduler
from emulator.assembly import build_network, resolve
from emulator.model.offloading import frame_costs
from emulator.scenario_file import load

EDGES, SERVICES, SLOTS = 5, 20, 5


def cloud_seconds(network, m, j):
    return 8.0 * network.task_bytes[j] / network.cloud_bps[m] + network.task_cycles[j] / network.cloud_hz


def deployed_by_hand(network, m, counts):
    """Highest score first, as long as it fits; of equals the lower service."""
    asked = [j for j in range(network.services) if counts[j] > 0]
    score = {j: counts[j] * cloud_seconds(network, m, j) / network.service_bytes[j] for j in asked}
    room, chosen = network.storage_bytes[m], set()
    for j in sorted(asked, key=lambda j: (-score[j], j)):
        if network.service_bytes[j] <= room:
            chosen.add(j)
            room -= network.service_bytes[j]
    return chosen


def target_by_hand(network, deployed, m, j, count):
    """Where one cell's tasks of a service take least if nobody else's are there; the cloud is target M."""
    best = (cloud_seconds(network, m, j), EDGES)
    for n in range(EDGES):
        if not deployed[n][j]:
            continue
        size = sum(deployed[n])
        seconds = network.task_cycles[j] * size / network.compute_hz[n] * count
        if n != m:
            rate = network.link_bps[n] if network.link_matrix_bps is None else network.link_matrix_bps[m][n]
            seconds += 8.0 * network.task_bytes[j] * size / rate + 8.0 * network.task_bytes[j] / network.uplink_bps[m]
        if seconds < best[0]:
            best = (seconds, n)
    return best[1]


@pytest.mark.parametrize("seed", range(8))
def test_greedy_deploys_what_its_definition_says(seed):
    rng = np.random.default_rng(seed)
    network = usual_network(rng, EDGES, SERVICES)
    counts = np.stack([usual_tasks(rng, EDGES, SERVICES) for _ in range(SLOTS)], axis=1)
    full = 0
    for m in range(EDGES):
        deployed = make_policy("greedy", Setting(network, SLOTS, m, seed=1)).decide(Observation(1, counts[m]))
        assert set(np.flatnonzero(deployed)) == deployed_by_hand(network, m, counts[m].sum(axis=0))
        room = network.storage_bytes[m] - network.service_bytes[deployed].sum()
        asked = counts[m].sum(axis=0) > 0.0
        full += bool((network.service_bytes[asked & ~deployed] > room).all())
    assert full == EDGES, "the storage is filled: nothing that anybody asked for would fit any more"


@pytest.mark.parametrize("matrix", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_greedy_schedules_where_its_definition_says(seed, matrix):
    rng = np.random.default_rng(seed)
    network = usual_network(rng, EDGES, SERVICES, matrix=matrix)
    deployed = rng.random((EDGES, SERVICES)) < 0.3
    tasks = usual_tasks(rng, EDGES, SERVICES)
    split = make_scheduler("greedy").schedule(tasks, frame_costs(network, deployed))
    seen = set()
    for m, j in zip(*np.nonzero(tasks), strict=True):
        wanted = target_by_hand(network, deployed.tolist(), m, j, tasks[m, j])
        assert split[m, :, j].tolist() == [float(n == wanted) for n in range(EDGES + 1)]
        seen.add("cloud" if wanted == EDGES else "home" if wanted == m else "peer")
    assert seen == {"cloud", "home", "peer"}


def test_a_whole_run_of_the_baseline_takes_what_its_definition_takes():
    scenario = resolve(load("paper-ttosc", ["frames=6", 'agent.policy="greedy"', 'scheduler.kind="greedy"']))
    frames = list(play(scenario))
    network = build_network(scenario)
    for before, played in itertools.pairwise(frames):
        counts = sum(slot.tasks for slot in before.step.slots)
        rows = [deployed_by_hand(network, m, counts[m]) for m in range(EDGES)]
        deployed = [[j in row for j in range(SERVICES)] for row in rows]
        cost, total = 0.0, 0.0
        for slot in played.step.slots:
            load_at = np.zeros((EDGES, SERVICES))
            sent = []
            for m, j in zip(*np.nonzero(slot.tasks), strict=True):
                n = target_by_hand(network, deployed, m, j, slot.tasks[m, j])
                sent.append((m, j, n, slot.tasks[m, j]))
                if n < EDGES:
                    load_at[n, j] += slot.tasks[m, j]
            for m, j, n, count in sent:
                if n == EDGES:
                    cost += count * cloud_seconds(network, m, j)
                    continue
                size = sum(deployed[n])
                seconds = network.task_cycles[j] * size / network.compute_hz[n] * load_at[n, j]
                if n != m:
                    seconds += 8.0 * network.task_bytes[j] * size / network.link_bps[n]
                cost += count * seconds
            total += slot.tasks.sum()
        assert played.step.row.delay_s == pytest.approx(cost / total, rel=1e-12)
