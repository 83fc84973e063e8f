from __future__ import annotations

import numpy as np
import pytest

from bus.errors import CallFailed, CallTimeout, LeaseRefused, PeerLost
from bus.messages import Array, Arrivals, BeatAck, Query, Status, Tick
from bus.testing import Cluster

ARRIVALS = Arrivals(Array.of(np.arange(4.0)))


def test_all_members_become_ready_and_a_tick_reaches_each_once(bus: Cluster) -> None:
    registry = bus.hub({"edge": 3, "cell": 3})
    hub = bus.processes[0]
    tick = hub.node("/hub").publisher("/hub/tick")
    seen: list[tuple[str, int]] = []
    for role in ("cell", "edge"):
        for index in range(3):
            process = bus.member(f"{role}-{index}", role)
            node = process.nodes[f"/{role}/{index}"]
            node.subscribe("/hub/tick", lambda m, h, name=node.name: seen.append((name, m.slot)))
            process.register()
    hub.register()
    bus.all_ready()
    assert registry.missing() == []
    for slot in range(3):
        tick.publish(Tick(slot, 0, 1), slot=slot)
    bus.until(lambda: len(seen) == 18)
    assert sorted(seen) == sorted((f"/{r}/{i}", s) for r in ("cell", "edge") for i in range(3) for s in range(3))
