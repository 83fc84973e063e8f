"""Small worlds that unit tests of policies build by hand."""

import numpy as np

from agents.policy import Observation, Reward, Setting
from emulator.model.offloading import Network


def network(
    storage=(2.0, 2.0),
    sizes=(1.0, 1.0, 1.0),
    task_bytes=None,
    compute_hz=None,
    link_bps=None,
    uplink_bps=None,
    matrix=None,
):
    """Few servers and services: a task is 1 MB and 1 Gcycle, a server has 10 GHz and 10 Mbit/s, the cloud 1 Mbit/s."""
    edges, services = len(storage), len(sizes)
    return Network(
        storage_bytes=np.array(storage),
        compute_hz=np.full(edges, 10e9) if compute_hz is None else np.array(compute_hz),
        uplink_bps=np.full(edges, np.inf) if uplink_bps is None else np.array(uplink_bps),
        link_bps=np.full(edges, 10e6) if link_bps is None else np.array(link_bps),
        link_matrix_bps=None if matrix is None else np.array(matrix),
        cloud_bps=np.full(edges, 1e6),
        cloud_hz=10e9,
        service_bytes=np.array(sizes),
        task_bytes=np.full(services, 1e6) if task_bytes is None else np.array(task_bytes),
        task_cycles=np.full(services, 1e9),
    )


def setting(world, *, edge=None, seed=1, backend="numpy", upcoming=None):
    return Setting(network=world, slots_per_frame=2, edge=edge, seed=seed, backend=backend, upcoming=upcoming)


def seen(frame, counts):
    return Observation(frame, np.array(counts, dtype=np.float64))


def unseen(frame, *shape):
    """What a policy is asked on when nothing was seen: zero slots."""
    return Observation(frame, np.zeros(shape))


NO_REWARD = Reward(0, 0.0, 0.0)
