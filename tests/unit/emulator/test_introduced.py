"""Who decides, who stands by and who is needed no more, as the metrics show it."""

from __future__ import annotations

import math

from bus.codec import Header
from bus.measure import Measurements
from bus.messages import Binding, Roster
from bus.standbys import Standbys
from bus.swap_messages import Standby
from bus.testing import cluster
from emulator.introduced import introduce
from emulator.nodes.bindings import HELD
from emulator.nodes.deciders import Deciders
from emulator.nodes.members import Members


def shown(measurements: Measurements) -> set[tuple[str, str, str]]:
    return {
        (labels["edge"], labels["agent"], labels["role"])
        for sample in measurements.snapshot()
        if sample.name == "agent_info" and isinstance(sample.value, float) and not math.isnan(sample.value)
        for labels in [dict(sample.labels)]
    }


def test_an_agent_of_ours_stands_by_after_a_swap_and_is_then_shown_no_more() -> None:
    with cluster() as bus:
        hub, agent = bus.process("hub"), bus.process("agents")
        rosters = hub.node("/hub").publisher("/hub/roster")
        introduce(agent, {3: "popularity", 4: "random"})
        bus.link(agent, hub)
        bus.until(lambda: bool(rosters.matched))
        both = {("3", "popularity", "active"), ("4", "random", "active")}
        assert shown(agent.measurements) == both, "it says so before it is bound"
        heard: list[Header] = []
        agent.subscribe("/hub/roster", lambda _, header: heard.append(header))
        other, own = agent.instance + 7, agent.instance
        decides = Binding(4, "deployment", own, 1)
        for number, (bindings, expected) in enumerate(
            [
                ((Binding(3, "deployment", own, 1), decides), both),
                (
                    (Binding(3, "deployment", other, 2), Binding(3, HELD, own, 2), decides),
                    {("3", "popularity", "standby"), ("4", "random", "active")},
                ),
                ((Binding(3, "deployment", other, 2), decides), {("4", "random", "active")}),
            ]
        ):
            rosters.publish(Roster(number, (), bindings), slot=number)
            bus.until(lambda number=number: len(heard) == number + 1)
            assert shown(agent.measurements) == expected


class Known(Standbys):
    """What a registry knows of programs, without one."""

    def __init__(self) -> None:
        self.titles = {11: ("toy", "1.0"), 12: ("toy", "2.0")}
        self.standing: tuple[Standby, ...] = ()

    def describe(self, instance: int) -> tuple[str, str]:
        return self.titles.get(instance, ("", ""))

    def all(self) -> tuple[Standby, ...]:
        return self.standing


def test_the_hub_shows_programs_and_leaves_agents_of_ours_to_themselves() -> None:
    measurements, members, known = Measurements(), Members(), Known()
    Deciders(measurements, members, known)
    members.by_name = {"/agent/0": (11, "a"), "/agent/1": (5, "b"), "/edge/0": (6, "c")}
    known.standing = (Standby(0, 12, "d", "ready", "toy", "2.0"), Standby(1, 9, "e", "ready"))
    assert shown(measurements) == {("0", "toy", "active"), ("0", "toy", "standby")}
    members.by_name["/agent/0"] = (12, "d")
    known.standing = ()
    assert shown(measurements) == {("0", "toy", "active")}
