"""Tasks whose service the peer has not deployed: only the wall clock brings them there."""

from __future__ import annotations

import math

import numpy as np

from bus.messages import Array, Offload
from emulator.assembly import build_network, delay_edges
from emulator.model.offloading import frame_costs
from emulator.nodes.edge_plan import Plan
from emulator.nodes.edge_serving import Answers
from emulator.nodes.edge_within import WithinSlot
from emulator.scenario_file import parse

SCENARIO = 'name = "within"\n[edges]\ncount = 2\n[services]\ncount = 3\n'


def test_tasks_sent_where_their_service_is_not_deployed_are_dropped_and_the_others_served() -> None:
    network = build_network(parse(SCENARIO, origin="within"))
    edges_s = delay_edges(network)
    deployed = np.array([[True, False, False], [False, True, False]])
    costs = frame_costs(network, deployed)
    origin, executor = (WithinSlot(m, network, edges_s, None) for m in (0, 1))
    for each in (origin, executor):
        each.begin(0, [0, 1])
    executor.route(Array.of(np.zeros(3)), Plan([], {0}), ())
    sent = origin.route(Array.of(np.array([2.0, 3.0, 4.0])), Plan([(0, 0, 1.0), (1, 1, 1.0), (1, 2, 1.0)], set()), ())
    origin.execute([], costs)

    answer = executor.execute([(0, sent[1])], costs)[0]
    assert [math.isinf(seconds) for seconds in answer.delay_s.values()] == [False, False, True]
    outcome = origin.end(Answers([(1, answer)], {}), costs)

    assert outcome.dropped.values() == [0.0, 0.0, 4.0]
    assert outcome.reasons == {"not_deployed": 4.0}
    assert outcome.peer.values() == [0.0, 3.0, 0.0]
    assert all(math.isfinite(seconds) for seconds in outcome.cost_s.values())


def test_services_without_tasks_are_answered_with_numbers() -> None:
    network = build_network(parse(SCENARIO, origin="within"))
    costs = frame_costs(network, np.zeros((2, 3), dtype=np.bool_))
    executor = WithinSlot(1, network, delay_edges(network), None)
    executor.begin(0, [0, 1])
    executor.route(Array.of(np.zeros(3)), Plan([], {0}), ())
    answer = executor.execute([(0, Offload(Array.of(np.zeros(3))))], costs)[0]
    assert all(math.isfinite(seconds) for seconds in answer.delay_s.values())
