"""Deaths, leaves and joins at any moment: whatever happened, the survivors match again and nothing is doubled."""

from __future__ import annotations

import numpy as np
import pytest

from bus.messages import Array, Arrivals, Tick
from bus.process import Process
from bus.testing import Cluster

CELLS = 5


@pytest.mark.parametrize("seed", range(4))
def test_any_order_of_deaths_leaves_and_joins_ends_matched(bus: Cluster, seed: int) -> None:
    stream = np.random.default_rng(seed)
    registry = bus.hub({"cell": CELLS, "edge": 1})
    hub = bus.processes[0]
    tick = hub.node("/hub").publisher("/hub/tick")
    hub.register()
    got: list[tuple[int, int]] = []
    edge = bus.member("edge-0", "edge", 0)
    for cell in range(CELLS):
        edge.nodes["/edge/0"].subscribe(f"/cell/{cell}/arrivals", lambda m, h, c=cell: got.append((c, h.slot)))
    edge.register()

    def join(index: int) -> Process:
        process = bus.member(f"cell-{index}", "cell", index)
        publisher = process.nodes[f"/cell/{index}"].publisher(f"/cell/{index}/arrivals")
        arrivals = Arrivals(Array.of(np.zeros(2)))
        process.nodes[f"/cell/{index}"].subscribe("/hub/tick", lambda m, h: publisher.publish(arrivals, slot=m.slot))
        if stream.random() < 0.8:
            process.register()  # some die between lease and registration
        return process

    cells: dict[int, Process] = {}
    slot = 0
    for _ in range(40):
        index = int(stream.integers(CELLS))
        if index not in cells:
            cells[index] = join(index)
        elif stream.random() < 0.5:
            victim = cells.pop(index)
            bus.kill(victim)
            registry.drop(victim.instance, "killed")
        else:
            victim = cells.pop(index)
            victim.close("left")
            bus.until(lambda v=victim: registry.last_beat(v.instance) is None and v.instance not in registry._entries)
        for _ in range(int(stream.integers(6))):
            bus.step()
        if stream.random() < 0.3:
            slot += 1
            tick.publish(Tick(slot, 0, 0), slot=slot)
    for index in range(CELLS):
        if index not in cells:
            cells[index] = join(index)
        cells[index].register()
    bus.all_ready()
    for _ in range(20):
        bus.step()
    got.clear()
    tick.publish(Tick(99, 0, 0), slot=99)
    bus.until(lambda: len(got) >= CELLS)
    for _ in range(20):
        bus.step()
    assert sorted(got) == [(cell, 99) for cell in range(CELLS)]
    for cell in range(CELLS):
        assert edge.subscriptions[f"/cell/{cell}/arrivals"].matched == {cells[cell].instance}
