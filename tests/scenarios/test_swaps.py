"""Agents are swapped while a run goes on, in one thread: whoever dies and whatever is answered, no decision is missed.

Edge server 0 is decided for by an agent of ours; a toy that speaks the protocol stands by and takes over.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from foreign_agent import GOODBYE, OBSERVATION, STATE, ForeignAgent
from test_foreign_agents import POPULARITY, in_frame, popular
from thread_run import ThreadRun, small

from bus.messages import DeploymentInForce, RentalInForce
from bus.process import Process
from bus.registry import Registry
from bus.swap_messages import Control, GoOn, Shadow, Swap, SwapEnd, SwapQuery, SwapState
from emulator import scenario_file, swaps_file
from emulator.assembly import resolve
from emulator.errors import RunFolderError
from emulator.nodes.control import Controlled

AT = 3
FRAMES = 8
Does = Callable[["Scene"], None]


class Scene:
    """A run in which somebody stands by for some edge servers; ``does`` is called at every turn."""

    def __init__(
        self, folder: Path, decide: Any = popular, does: Does | None = None, edges: tuple[int, ...] = (0,), **more: Any
    ) -> None:
        asked = {"at_frame": AT, "deadline_s": 30.0} | more.pop("asked", {})
        self.scenario = more.pop("scenario", None) or small(
            agent=POPULARITY | more.pop("agent", {}), frames=FRAMES, **more
        )
        self.run = ThreadRun(self.scenario, folder)
        self.run.on_turn = self.turn
        self.decide, self.does, self.edges, self.asked = decide, does, edges, asked
        self.agents: dict[int, ForeignAgent] = {}
        self.seen: list[str] = []

    def turn(self, run: ThreadRun) -> None:
        if run.hub.phase == "running" and not self.agents:
            names = tuple(f"next-{edge}" for edge in self.edges)
            swaps = run.hub._changes.swaps
            for edge, name in zip(self.edges, names, strict=True):
                run.registry.standbys.expected.add(name)
                world = self.scenario.world
                agent = Standing(run.bus.context, run.registry.address, self.decide, edge, world)
                self.agents[edge] = agent
                agent.hello(process=name)
            self.wanted = names
        if self.agents and not hasattr(self, "number"):
            there = [entry for edge in self.edges for entry in run.registry.standbys.of(f"/agent/{edge}")]
            if len(there) == len(self.edges):
                swaps = run.hub._changes.swaps
                self.number = swaps.ask(Swap(self.edges, to=self.wanted, **self.asked)).number
        if self.does is not None and hasattr(self, "number"):
            self.does(self)
        for agent in self.agents.values():
            agent.step()

    def state(self) -> SwapState:
        (found,) = self.run.hub._changes.swaps.status(SwapQuery(self.number)).swaps
        if not self.seen or self.seen[-1] != found.stage:
            self.seen.append(found.stage)
        return found

    def kill(self, edge: int = 0) -> None:
        """The one that came dies; the hub hears of it at once, as the launcher would tell it."""
        agent = self.agents[edge]
        if not agent.silent:
            agent.silent = True
            self.run.registry.drop(agent.instance, "its process ended with code -9")

    def play(self) -> SwapState:
        try:
            assert self.run.play() == 0
        finally:
            for agent in self.agents.values():
                agent.close()
        return self.state()

    def deployments(self, edge: int = 0) -> list[tuple[int, ...]]:
        told = self.run.told(f"/edge/{edge}/deployment_in_force")
        return [m.services for slot, m in sorted(told.items()) if slot % 2 == 0 and isinstance(m, DeploymentInForce)]

    def refused(self) -> list[str]:
        told = [m for sent in self.run.sent if isinstance(m := sent.message, DeploymentInForce)]
        return [message.refused for message in told if message.refused]

    def epochs(self, edge: int = 0) -> list[int]:
        """Under which epochs the one that came was asked."""
        return sorted({h[5] for kind, h, _ in self.agents[edge].heard if kind == OBSERVATION and h[5]})

    def table(self) -> list[tuple[str, int]]:
        with (self.run.folder / "swaps.csv").open() as file:
            return [(row["event"], int(row["frame"])) for row in csv.DictReader(file)]


class Standing(ForeignAgent):
    """Says nothing until it is told to."""

    def hello(self, **more: Any) -> None:
        if more:
            super().hello(**more)


def rents_one(agent: ForeignAgent, header: tuple[int, ...], said: dict[str, Any]) -> Any:
    """One unit, and more than there are as it takes over."""
    return {"units": 99 if header[6] == AT + 2 and header[5] else 1}


def nothing_but(answer: Any) -> Any:
    """A bad answer in the frame of the take-over."""
    return in_frame(AT, answer)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> ThreadRun:
    """The same run without a swap."""
    run = ThreadRun(small(agent=POPULARITY, frames=FRAMES), tmp_path_factory.mktemp("ours"))
    assert run.play() == 0
    return run


def test_one_of_the_same_rule_takes_over_at_the_frame_and_no_number_changes(tmp_path: Path, ours: ThreadRun) -> None:
    scene = Scene(tmp_path / "a")
    state = scene.play()
    assert (state.stage, state.frame, state.missed, state.gap_frames) == ("done", AT, 0, 0)
    assert scene.run.slots() == ours.slots()
    assert scene.epochs() == [2]
    asked = [h[6] for kind, h, _ in scene.agents[0].heard if kind == OBSERVATION and h[5]]
    assert asked == list(range(AT, FRAMES))
    assert [event for event, _ in scene.table()] == ["asked", "ready", "bound", "done"]
    assert dict(scene.table()) | {"asked": 0, "ready": 0} == {"asked": 0, "ready": 0, "bound": AT, "done": AT + 1}
    again = Scene(tmp_path / "b")
    again.play()
    assert again.run.ledger()["digest"] == scene.run.ledger()["digest"] != ours.ledger()["digest"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"services": "all"}, "malformed"),
        ({"services": [99]}, "out_of_range"),
        ({"services": [0, 1, 2, 3, 4, 5]}, "infeasible"),
        (None, "late"),
    ],
)
def test_whoever_gives_no_valid_decision_as_it_takes_over_is_not_obeyed_and_none_is_missed(
    tmp_path: Path, ours: ThreadRun, answer: Any, reason: str
) -> None:
    scene = Scene(tmp_path, nothing_but(answer), agent={"decision_budget_s": 1.0})
    state = scene.play()
    assert (state.stage, state.failed, state.missed) == ("failed", "take-over", 0)
    assert reason in state.reason
    assert (state.frame, state.rolled_back_frame) == (AT, AT)
    assert scene.run.slots() == ours.slots()
    assert scene.refused() == []
    assert scene.run.attempts(2 * AT) == 2
    assert scene.agents[0].told(GOODBYE)


def test_it_dies_in_its_warm_up_and_nothing_is_bound(tmp_path: Path, ours: ThreadRun) -> None:
    def dies(scene: Scene) -> None:
        if scene.agents[0].state == "warm-up":
            scene.kill()

    scene = Scene(tmp_path, does=dies)
    state = scene.play()
    assert (state.stage, state.failed, state.frame) == ("failed", "warm-up", -1)
    assert "code -9" in state.reason
    assert scene.run.slots() == ours.slots()


def test_it_dies_in_the_frame_in_which_it_takes_over_and_the_one_before_decides_it(
    tmp_path: Path, ours: ThreadRun
) -> None:
    scene = Scene(tmp_path, nothing_but(lambda agent, header: setattr(agent, "dying", True)))
    scene.does = lambda scene: scene.kill() if getattr(scene.agents[0], "dying", False) else None
    state = scene.play()
    assert (state.stage, state.failed, state.missed, state.rolled_back_frame) == ("failed", "take-over", 0, AT)
    assert scene.run.slots() == ours.slots()


def test_it_dies_after_its_first_decision_counts_and_the_one_before_is_bound_at_the_next_boundary(
    tmp_path: Path, ours: ThreadRun
) -> None:
    def dies(scene: Scene) -> None:
        if scene.run.hub.clock_status().slot == 2 * AT + 1:
            scene.kill()

    scene = Scene(tmp_path, does=dies)
    state = scene.play()
    assert (state.stage, state.failed, state.missed, state.rolled_back_frame) == ("rolled back", "", 0, AT + 1)
    assert scene.run.slots() == ours.slots()
    assert scene.run.members(2 * AT + 2) >= {"/agent/0"}


def test_the_one_before_dies_while_it_warms_up_and_it_is_bound_at_the_next_boundary_at_which_it_is_ready(
    tmp_path: Path,
) -> None:
    def dies(scene: Scene) -> None:
        if scene.agents[0].state == "warm-up" and "agent-0" not in scene.run.lost:
            scene.run.die("agent-0", turns=1)

    scene = Scene(tmp_path, does=dies, asked={"at_frame": FRAMES - 1})
    state = scene.play()
    assert state.stage == "done"
    assert 0 < state.frame < FRAMES - 1
    assert state.parts[0].before == 0


def test_both_die_and_the_run_goes_on_without_an_agent(tmp_path: Path) -> None:
    def die(scene: Scene) -> None:
        if scene.run.hub.clock_status().slot == 2 * AT + 1 and "agent-0" not in scene.run.lost:
            scene.run.die("agent-0", turns=1)
            scene.kill()

    scene = Scene(tmp_path, does=die)
    state = scene.play()
    assert (state.stage, state.failed, state.rolled_back_frame) == ("failed", "bound", -1)
    assert "/agent/0" not in scene.run.members(2 * FRAMES - 1)
    deployed = scene.deployments()
    assert deployed[AT + 1] == deployed[AT]


def test_time_waits_for_it_at_the_frame_it_was_asked_for_but_not_for_ever(tmp_path: Path, ours: ThreadRun) -> None:
    def stalls(agent: ForeignAgent, header: tuple[int, ...], said: dict[str, Any]) -> Any:
        return None if said["warm_up"] else popular(agent, header, said)

    waiting: list[tuple[str, ...]] = []

    def looks(scene: Scene) -> None:
        if scene.run.hub._changes.swaps.holding:
            waiting.append(scene.run.hub.clock_status().unacknowledged)

    scene = Scene(tmp_path, stalls, looks, asked={"deadline_s": 0.3})
    state = scene.play()
    assert (state.stage, state.failed) == ("failed", "warm-up")
    assert "not ready within 0.3 s: swap 1: next-0 (in its warm-up)" in state.reason
    assert waiting[-1] == ("swap 1: next-0 (in its warm-up)",)
    assert scene.run.slots() == ours.slots()


def test_several_edge_servers_change_in_the_same_frame_or_none(tmp_path: Path, ours: ThreadRun) -> None:
    scene = Scene(tmp_path / "both", edges=(0, 2))
    state = scene.play()
    assert (state.stage, state.frame, state.missed) == ("done", AT, 0)
    assert [part.epoch for part in state.parts] == [2, 2]
    assert scene.run.slots() == ours.slots()

    def one_cannot(agent: ForeignAgent, header: tuple[int, ...], said: dict[str, Any]) -> Any:
        bad = header[3] == 2 and header[6] == AT and not said["warm_up"]
        return {"services": [99]} if bad else popular(agent, header, said)

    scene = Scene(tmp_path / "one", one_cannot, edges=(0, 2))
    state = scene.play()
    assert (state.stage, state.missed, state.rolled_back_frame) == ("failed", 0, AT)
    assert [part.epoch for part in state.parts] == [3, 3]
    assert scene.run.slots() == ours.slots()


def test_the_one_before_stands_by_until_it_is_bound_again(tmp_path: Path, ours: ThreadRun) -> None:
    def rolls_back(scene: Scene) -> None:
        if scene.run.hub.clock_status().slot == 2 * AT + 3 and scene.state().stage == "bound":
            scene.run.hub._changes.swaps._on_end(SwapEnd(scene.number, "rollback"))

    scene = Scene(tmp_path, does=rolls_back, asked={"hold_frames": -1})
    state = scene.play()
    assert (state.stage, state.frame, state.rolled_back_frame, state.missed) == ("rolled back", AT, AT + 2, 0)
    assert scene.run.slots() == ours.slots()
    assert [said["state"] for said in scene.agents[0].told(STATE)] == ["warm-up", "ready", "active", "draining"]


def test_while_the_one_before_stands_by_a_refused_decision_binds_it_again(tmp_path: Path) -> None:
    scene = Scene(tmp_path, in_frame(AT + 1, {"services": [99]}), asked={"hold_frames": -1})
    state = scene.play()
    assert (state.stage, state.frame, state.rolled_back_frame, state.missed) == ("rolled back", AT, AT + 2, 1)
    assert f"edge 0, frame {AT + 1}: its decision was refused (malformed)" in state.reason


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (Swap(()), "names no edge server"),
        (Swap((7,), "popularity"), "edge 7: there are 0..2"),
        (Swap((0,)), "give either an agent"),
        (Swap((0,), to=("nobody",)), "'nobody' names 0 of those who stand by: nobody"),
        (Swap((0,), "popularity", at_frame=99), "frame 99: the run has frames 0..7"),
        (Swap((0,), "popularity", at_frame=0), "frame 0 has begun"),
        (Swap((0,), "popularity", deadline_s=0.0), "deadline_s"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(tmp_path: Path, asked: Swap, text: str) -> None:
    run = ThreadRun(small(agent=POPULARITY, frames=FRAMES), tmp_path)
    refused: list[str] = []

    def turn(run: ThreadRun) -> None:
        if run.hub.phase == "running" and run.hub.clock_status().slot >= 2 and not refused:
            with pytest.raises(ValueError) as caught:
                run.hub._changes.swaps.ask(asked)
            refused.append(str(caught.value))

    run.on_turn = turn
    assert run.play() == 0
    assert text in refused[0]
    assert "swaps" not in run.ledger()


def test_in_the_rental_world_each_slot_is_a_boundary(tmp_path: Path) -> None:
    scenario = resolve(scenario_file.load("quickstart-rental", ["frames=8", "deadlines.stop_s=0.05"]))
    scene = Scene(tmp_path / "in", rents_one, scenario=scenario, asked={"hold_frames": -1})
    state = scene.play()
    assert (state.stage, state.frame, state.rolled_back_frame, state.missed) == ("rolled back", AT, AT + 3, 1)
    told = [m for _, m in sorted(scene.run.told("/edge/0/rental_in_force").items()) if isinstance(m, RentalInForce)]
    assert [message.refused for message in told] == [""] * (AT + 2) + ["malformed"] + [""] * 2
    assert [message.units for message in told[AT : AT + 3]] == [1, 1, 1]
    scene = Scene(tmp_path / "not", rents_one, scenario=scenario, asked={"at_frame": AT + 2})
    state = scene.play()
    assert (state.stage, state.failed, state.rolled_back_frame, state.missed) == ("failed", "take-over", AT + 2, 0)
    assert scene.run.ledger()["refused"] == 0


def test_a_run_s_swaps_are_read_from_its_folder_and_done_again(tmp_path: Path, ours: ThreadRun) -> None:
    scene = Scene(tmp_path / "first", asked={"hold_frames": -1, "back_frame": AT + 2})
    state = scene.play()
    assert (state.stage, state.frame, state.rolled_back_frame, state.missed) == ("rolled back", AT, AT + 2, 0)
    assert scene.run.slots() == ours.slots()
    (asked,) = swaps_file.read(scene.run.folder / "swaps.csv")
    assert (asked.edges, asked.at_frame, asked.back_frame, asked.hold_frames) == ((0,), AT, AT + 2, -1)
    again = Scene(tmp_path / "again", asked={"hold_frames": -1, "at_frame": asked.at_frame, "back_frame": AT + 2})
    again.play()
    assert again.run.ledger()["digest"] == scene.run.ledger()["digest"]
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    for name, text in (("none.csv", "No such file"), ("other.csv", "is no swaps.csv")):
        with pytest.raises(RunFolderError, match=text):
            swaps_file.read(tmp_path / name)


class Controlling:
    """A controller that lets frames pass one by one, and looks on."""

    def __init__(self, folder: Path, through: int = -1, deadline_s: float = 30.0, silent: bool = False) -> None:
        self.run = ThreadRun(small(agent=POPULARITY, frames=FRAMES), folder)
        self.run.on_turn = self.turn
        self.through, self.deadline_s, self.silent = through, deadline_s, silent
        self.paused: list[int] = []
        self.waiting: set[str] = set()

    def turn(self, run: ThreadRun) -> None:
        control = run.hub._changes.control
        if run.hub.phase == "starting" and control.status().name == "":
            control.take(Control("trial", self.through, self.deadline_s))
        status = control.status()
        if status.paused_frame >= 0:
            self.waiting.update(run.hub.clock_status().unacknowledged)
            if not self.silent:
                self.paused.append(status.paused_frame)
                control.go_on(GoOn("trial", status.paused_frame))


def test_time_stands_before_every_frame_that_a_controller_has_not_let_pass(tmp_path: Path, ours: ThreadRun) -> None:
    scene = Controlling(tmp_path, through=1)
    assert scene.run.play() == 0
    assert scene.paused == list(range(2, FRAMES))
    told = "frame {} waits for the controller 'trial'; if it stays silent, the run ends in 30 s"
    assert scene.waiting == {told.format(frame) for frame in range(2, FRAMES)}
    assert scene.run.slots() == ours.slots()
    assert scene.run.ledger()["digest"] == ours.ledger()["digest"]


def test_a_controller_that_says_nothing_ends_the_run_by_name(tmp_path: Path) -> None:
    scene = Controlling(tmp_path, through=1, deadline_s=0.2, silent=True)
    assert scene.run.play() == 3
    assert scene.run.ledger()["exit"]["reason"] == "frame 2 waited 0.2 s for the controller 'trial'"
    assert len(scene.run.slots()["slot"]) == 4


def test_who_takes_control_again_has_all_the_time_again_from_the_same_boundary() -> None:
    passed: list[str] = []
    process = Process("hub")
    try:
        registry = Registry(process, {})
        at = lambda: ("running", 4)  # noqa: E731
        made = Controlled(process, registry, at, _unwanted, _unwanted, _unasked, wall=False, deadline_s=600.0)
        made.take(Control("trial", 4, 0.5))
        assert not made.may_begin(5, lambda: passed.append("frame 5"))
        assert made.waiting() == ["frame 5 waits for the controller 'trial'; if it stays silent, the run ends in 0 s"]
        assert made.take(Control("trial")).paused_frame == 5
        assert made.waiting() == ["frame 5 waits for the controller 'trial'; if it stays silent, the run ends in 600 s"]
        process.spin(None, 0.7)  # the deadline of before is no more
        made.go_on(GoOn("trial", 5))
        assert process.spin(lambda: passed == ["frame 5"], 10.0)
    finally:
        process.close()


def _unwanted(text: str) -> None:
    raise AssertionError(text)


def test_on_the_wall_clock_a_silent_controller_loses_control_and_those_before_are_bound() -> None:
    gave: list[str] = []
    process = Process("hub")
    try:
        registry = Registry(process, {})
        at, told = lambda: ("running", 5), gave.append
        made = Controlled(process, registry, at, told, told, _unasked, wall=True, deadline_s=9.0)
        made.take(Control("trial"))
        assert [made.may_begin(f, _never) for f in (6, 7)] == [True, True]
        assert gave == []
        assert made.may_begin(8, _never)
        assert gave == ["the controller 'trial' was silent for 2 frames"] * 2
        with pytest.raises(ValueError, match="'trial' is not in control of this run; 'nobody' is"):
            made.go_on(GoOn("trial", 9))
        made.take(Control("one"))
        with pytest.raises(ValueError, match="'one' is in control"):
            made.take(Control("another"))
    finally:
        process.close()


def _never() -> None:
    raise AssertionError("time stood")


def _unasked(_code: int, _reason: str) -> None:
    raise AssertionError("the run ended")


class Shadowing(Scene):
    """Those who stand by are asked for their opinion instead."""

    def turn(self, run: ThreadRun) -> None:
        super().turn(run)
        there = [entry for edge in self.edges for entry in run.registry.standbys.of(f"/agent/{edge}")]
        if self.number == 0 and len(there) == len(self.edges):
            self.number = 1
            run.hub._changes.shadows.ask(Shadow(self.edges, to=self.wanted))

    number = 0


def test_a_shadow_decides_every_frame_and_nothing_comes_of_it(tmp_path: Path, ours: ThreadRun) -> None:
    scene = Shadowing(tmp_path, in_frame(4, {"services": [99]}), edges=(0, 2))
    try:
        assert scene.run.play() == 0
    finally:
        for agent in scene.agents.values():
            agent.close()
    assert scene.run.slots() == ours.slots()
    assert scene.run.ledger()["digest"] == ours.ledger()["digest"]
    assert scene.run.ledger()["refused"] == 0
    states = scene.run.hub._changes.shadows.status().shadows
    assert [(state.edge, state.refused) for state in states] == [(0, 1), (2, 1)]
    since = states[0].since_frame
    with (scene.run.folder / "shadows.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["edge"] == "0"]
    decided = {int(row["frame"]): row for row in rows}
    assert sorted(decided)[:-1] == list(range(since, max(decided)))
    assert max(decided) >= FRAMES - 2, "the last may come when the run is over"
    for frame, row in decided.items():
        refused = "out_of_range" if frame == 4 else ""
        services = "" if refused else " ".join(map(str, scene.deployments()[frame]))
        assert (row["decision"], row["refused"]) == (services, refused)
    links = [link for report in scene.run.reports.values() for link in report.links]
    apart = {link.topic: link.messages for link in links if "/shadow/0" in (link.topic + link.subscriber)}
    assert apart["foreign:/shadow/0/Deployment"] >= len(decided) - 1
    assert "shadow" in [said["state"] for said in scene.agents[0].told(STATE)]
