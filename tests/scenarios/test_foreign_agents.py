"""Programs with two DEALERs that decide for an edge server, in a run of one thread.

agent ==hello, beats==> hub          agent ==observations, decisions==> edge server --bus--> everyone
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from foreign_agent import (
    ACK,
    BEAT,
    DEPLOYMENT,
    GOODBYE,
    OBSERVATION,
    REFUSED,
    RENTAL,
    REWARD,
    STATE,
    ForeignAgent,
    counts_of,
    pack,
)
from thread_run import Kill, ThreadRun, small

from bus.agent_wire import MOST_FRAMES_PER_S
from bus.messages import DeploymentInForce, RentalInForce
from emulator import scenario_file
from emulator.assembly import resolve

Decide = Callable[[ForeignAgent, tuple[int, ...], dict[str, Any]], Any]
Does = Callable[[ThreadRun, ForeignAgent], None]
POPULARITY = {"policy": "marginal-popularity"}


def popular(agent: ForeignAgent, header: tuple[int, ...], said: dict[str, Any]) -> dict[str, Any]:
    """Most tasks per byte first, ties to the lowest: the rule of marginal-popularity, written again."""
    sizes, rows = agent.setup["service_bytes"], counts_of(said)
    scores = [1] * len(sizes)
    if rows:
        scores = [
            int(sum(column)) * 10**12 // int(size) for column, size in zip(zip(*rows, strict=True), sizes, strict=True)
        ]
    room, chosen = agent.setup["storage_bytes"], []
    for service in sorted(range(len(sizes)), key=lambda j: (-scores[j], j)):
        if scores[service] > 0 and sizes[service] <= room:
            room -= sizes[service]
            chosen.append(service)
    return {"services": sorted(chosen)}


def in_frame(frame: int, answer: Any, otherwise: Decide = popular) -> Decide:
    """Another answer in one frame of the run (not of the warm-up)."""

    def decide(agent: ForeignAgent, header: tuple[int, ...], said: dict[str, Any]) -> Any:
        if header[6] == frame and not said["warm_up"]:
            return answer(agent, header) if callable(answer) else answer
        return otherwise(agent, header, said)

    return decide


class Played:
    """A run whose edge server 0 a foreign agent decides for."""

    def __init__(self, folder: Path, decide: Decide = popular, does: Does | None = None, **more: Any) -> None:
        scenario = more.pop("scenario", None) or small(agent=POPULARITY | more.pop("agent", {}), **more)
        others = [(m, 1) for m in range(1, scenario.edges.count)]
        self.kills = more.pop("kills", [])
        self.run = ThreadRun(scenario, folder, layout={"agent": others})
        self.agents: list[ForeignAgent] = []
        self.does = does
        self.decide = decide
        self.run.on_turn = self.turn

    def turn(self, run: ThreadRun) -> None:
        if not self.agents:
            context, world = run.bus.context, run.scenario.world
            self.agents.append(ForeignAgent(context, run.registry.address, self.decide, 0, world))
        if self.does is not None:
            self.does(run, self.agents[0])
        for agent in self.agents:
            agent.step()

    def play(self) -> ForeignAgent:
        try:
            assert self.run.play() == 0
        finally:
            for agent in self.agents:
                agent.close()
        return self.agents[0]

    def deployments(self) -> list[tuple[int, ...]]:
        """What edge server 0 deployed, frame by frame."""
        told = self.run.told("/edge/0/deployment_in_force")
        return [m.services for slot, m in sorted(told.items()) if slot % 2 == 0 and isinstance(m, DeploymentInForce)]


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> ThreadRun:
    """The same run with an agent of ours in its place."""
    run = ThreadRun(small(agent=POPULARITY), tmp_path_factory.mktemp("ours"))
    assert run.play() == 0
    return run


def test_it_decides_as_an_agent_of_ours_and_hears_each_reward_before_the_next_frame(
    tmp_path: Path, ours: ThreadRun
) -> None:
    played = Played(tmp_path)
    agent = played.play()
    assert played.run.ledger()["digest"] == ours.ledger()["digest"]
    live = [(kind, header[6]) for kind, header, said in agent.heard if header[5] and kind in (OBSERVATION, REWARD)]
    assert live == [
        (OBSERVATION, 0),
        *((kind, f + k) for f in range(3) for k, kind in enumerate((REWARD, OBSERVATION))),
        (REWARD, 3),
    ]
    assert [said["state"] for said in agent.told(STATE)] == ["warm-up", "ready", "active", "draining"]
    assert agent.told(GOODBYE) == [{"reason": "done", "again": False}]


def test_what_it_says_and_hears_is_in_the_books_and_only_then(tmp_path: Path, ours: ThreadRun) -> None:
    played = Played(tmp_path)
    played.play()
    links = [link for report in played.run.reports.values() for link in report.links]
    rows = {link.topic: link for link in links if link.topic.startswith("foreign:")}
    asked, decided = rows["foreign:/edge/0/Observation"], rows["foreign:/agent/0/Deployment"]
    assert (asked.publisher, asked.subscriber, asked.plane, asked.phase) == (
        "/edge/0",
        "/agent/0",
        "data",
        "deployment",
    )
    assert (decided.publisher, decided.subscriber, decided.messages) == ("/agent/0", "edge-0", 4 + 2)
    assert asked.header_bytes == 24 * (4 + 2)
    assert rows["foreign:/agent/0/Hello"].plane == "control"
    assert not [link for report in ours.reports.values() for link in report.links if "foreign" in link.topic]


@pytest.mark.parametrize(
    ("answer", "reason", "judged"),
    [
        ({"services": "all"}, "malformed", "malformed"),
        ({}, "malformed", "malformed"),
        ({"services": [2, 1]}, "malformed", "malformed"),
        ({"services": [6]}, "out_of_range", "malformed"),
        ({"services": [-1]}, "out_of_range", "malformed"),
        ({"services": [0, 1, 2, 3, 4, 5]}, "infeasible", "infeasible"),
    ],
)
def test_a_decision_that_is_no_good_is_refused_by_name_and_the_one_before_stays(
    tmp_path: Path, answer: dict[str, Any], reason: str, judged: str
) -> None:
    played = Played(tmp_path, in_frame(2, answer))
    agent = played.play()
    (refused,) = agent.told(REFUSED)[-1:]
    assert refused["reason"] == reason
    assert [said["reason"] for said in agent.told(REFUSED) if said["retry_s"] == 0] == [reason], "told once"
    assert refused["about"] > 0
    deployed = played.deployments()
    assert deployed[2] == deployed[1]
    assert played.run.told("/edge/0/deployment_in_force")[4].refused == judged  # type: ignore[attr-defined]
    assert played.run.ledger()["refused"] == 1


@pytest.mark.parametrize(("more", "reason"), [({"epoch": 9}, "stale_epoch"), ({"frame": 1}, "stale_frame")])
def test_an_answer_to_another_question_is_refused_and_the_right_one_still_counts(
    tmp_path: Path, ours: ThreadRun, more: dict[str, int], reason: str
) -> None:
    def wrong(agent: ForeignAgent, header: tuple[int, ...], said: dict[str, Any]) -> Any:
        if header[6] == 2 and header[5]:
            place = {"epoch": header[5], "frame": 2} | more
            agent.say(agent.server, DEPLOYMENT, {"services": []}, **place)
        return popular(agent, header, said)

    played = Played(tmp_path, wrong)
    agent = played.play()
    assert agent.told(REFUSED)[-1]["reason"] == reason
    assert played.run.ledger()["digest"] == ours.ledger()["digest"]


def test_silence_is_late_after_the_budget_and_what_comes_then_is_refused(tmp_path: Path) -> None:
    def later(run: ThreadRun, agent: ForeignAgent) -> None:
        if agent.told(REFUSED) and agent.told(REFUSED)[-1]["reason"] == "late" and not getattr(agent, "said", False):
            agent.said = True  # type: ignore[attr-defined]
            agent.say(agent.server, DEPLOYMENT, {"services": []}, epoch=1, frame=1)

    played = Played(tmp_path, in_frame(1, None), later, agent={"decision_budget_s": 0.2})
    agent = played.play()
    assert [said["reason"] for said in agent.told(REFUSED)][-2:] == ["late", "late"]
    assert played.deployments()[1] == played.deployments()[0]
    assert played.run.told("/edge/0/deployment_in_force")[2].refused == "late"  # type: ignore[attr-defined]
    assert played.run.ledger()["refused"] == 1


def test_one_that_is_given_up_says_hello_again_and_is_bound_under_a_new_epoch(tmp_path: Path) -> None:
    stages: list[str] = []

    def dies(run: ThreadRun, agent: ForeignAgent) -> None:
        refused = [said["reason"] for said in agent.told(REFUSED)]
        if not stages and agent.state == "active" and run.hub.clock_status().slot == 2:
            stages.append("given up")
            run.registry.drop(agent.instance, "no beat for 5.0 s")
        elif stages == ["given up"] and agent.told(GOODBYE) and agent.told(GOODBYE)[0]["again"]:
            stages.append("wakes")
            agent.say(agent.server, DEPLOYMENT, {"services": []}, epoch=1, frame=1)
        elif stages == ["given up", "wakes"] and refused[-1] == "stale_epoch":
            stages.append("greets")
            agent.hello()

    played = Played(tmp_path, does=dies, frames=40)
    agent = played.play()
    epochs = sorted({header[5] for kind, header, _ in agent.heard if kind == OBSERVATION and header[5]})
    assert epochs == [1, 2]
    assert stages == ["given up", "wakes", "greets"]
    assert any("lost /agent/0: no beat" in note for note in played.run.ledger()["notes"])
    assert played.run.ledger()["slots"] == 80


def test_a_slot_that_is_computed_again_asks_it_once(tmp_path: Path) -> None:
    played = Played(tmp_path)
    played.run.kills = [Kill("edge-2", 2, "/edge/2/deployment_in_force", restart=False)]
    agent = played.play()
    assert played.run.attempts(2) == 2
    asked = [header[6] for kind, header, _ in agent.heard if kind == OBSERVATION and header[5]]
    assert asked == [0, 1, 2, 3]


def test_its_edge_server_dies_and_comes_back_and_so_does_the_agent(tmp_path: Path) -> None:
    greeted: list[int] = []

    def greets(run: ThreadRun, agent: ForeignAgent) -> None:
        if agent.told(GOODBYE) and not greeted:
            greeted.append(agent.instance)
            agent.instance = 0
            agent.hello()

    played = Played(tmp_path, does=greets, frames=40)
    played.run.kills = [Kill("edge-0", 2, "/edge/0/deployment_in_force")]
    agent = played.play()
    epochs = sorted({header[5] for kind, header, _ in agent.heard if kind == OBSERVATION and header[5]})
    assert epochs == [1, 2]
    assert agent.told(GOODBYE)[0] == {"reason": "its edge server is gone", "again": True}
    assert played.run.ledger()["slots"] == 80


def test_the_next_that_is_free_is_given_and_a_spare_waits_for_one(tmp_path: Path) -> None:
    spares: list[ForeignAgent] = []

    def more(run: ThreadRun, agent: ForeignAgent) -> None:
        if agent.state == "active" and not spares:
            spares.append(ForeignAgent(run.bus.context, run.registry.address, popular))
            played.agents.append(spares[0])
        elif spares and spares[0].told(REFUSED) and "agent-1" not in run.lost:
            run.die("agent-1")

    played = Played(tmp_path, does=more, frames=60)
    played.play()
    assert spares[0].told(REFUSED)[0]["reason"] == "surplus"
    assert spares[0].edge == 1
    assert spares[0].told(REWARD), "it decided frames that counted"


def test_who_fails_the_warm_up_is_never_bound(tmp_path: Path) -> None:
    def bad(agent: ForeignAgent, header: tuple[int, ...], said: dict[str, Any]) -> Any:
        return {"services": list(range(6))}

    def replaced(run: ThreadRun, agent: ForeignAgent) -> None:
        if agent.told(GOODBYE) and "agent-0" not in run.processes:
            run.start("agent-0", "agent", 0, 1)

    played = Played(tmp_path, bad, replaced)
    agent = played.play()
    assert [said["reason"] for said in agent.told(REFUSED)][-1] == "infeasible"
    assert agent.told(GOODBYE) in ([{"reason": "warm_up", "again": False}], 2 * [{"reason": "warm_up", "again": False}])
    assert not [header for kind, header, _ in agent.heard if kind == OBSERVATION and header[5]]


@pytest.mark.parametrize(
    ("hello", "reason"),
    [
        ({"world": "rental"}, "world"),
        ({"role": "scheduler"}, "role"),
        ({"name": 3}, "malformed"),
    ],
)
def test_who_does_not_fit_is_refused_at_hello(tmp_path: Path, hello: dict[str, Any], reason: str) -> None:
    def greets(run: ThreadRun, agent: ForeignAgent) -> None:
        if agent.state == "active" and agent.numbers < 1000:
            agent.numbers += 1000
            agent.hello(**hello)

    played = Played(tmp_path, does=greets)
    agent = played.play()
    assert agent.told(REFUSED)[-1]["reason"] == reason
    assert played.run.ledger()["slots"] == 8, "and the seat it has is its own still"


def test_garbage_on_either_socket_harms_nobody(tmp_path: Path, ours: ThreadRun) -> None:
    def raves(run: ThreadRun, agent: ForeignAgent) -> None:
        if agent.state == "active" and agent.numbers < 1000:
            agent.numbers += 1000
            for socket in (agent.hub, agent.server):
                for raw in (
                    b"\xc1",
                    b"\xc1" * 23,
                    b"\xc1\x02" + bytes(22),
                    b"\xc1\x01\xff\xff" + bytes(20),
                    b"",
                    b"what",
                ):
                    socket.send(raw)
            agent.say(agent.hub, BEAT, {"busy_s": 1.0})

    played = Played(tmp_path, does=raves)
    agent = played.play()
    assert {"version", "malformed"} <= {said["reason"] for said in agent.told(REFUSED)}
    assert {"known": True} in agent.told(ACK)
    assert played.run.ledger()["digest"] == ours.ledger()["digest"]


def test_a_flood_is_dropped_on_either_socket_and_a_frame_too_large_is_refused(tmp_path: Path, ours: ThreadRun) -> None:
    def floods(run: ThreadRun, agent: ForeignAgent) -> None:
        if agent.state == "active" and agent.numbers < 1000:
            agent.say(agent.server, DEPLOYMENT, {"services": [], "more": bytes(2**20)}, epoch=1)
            agent.numbers += 1000
            stranger = agent.dealer(agent.hub.LAST_ENDPOINT.decode().rstrip("\0"))
            other = agent.dealer(agent.server.LAST_ENDPOINT.decode().rstrip("\0"))
            for _ in range(3 * MOST_FRAMES_PER_S):
                stranger.send(pack(BEAT, {}, 0))
                other.send(pack(DEPLOYMENT, {"services": []}, 0))
            strangers.extend([stranger, other])

    strangers: list[Any] = []
    played = Played(tmp_path, does=floods, frames=12)
    try:
        agent = played.play()
    finally:
        for stranger in strangers:
            stranger.close()
    assert agent.told(REFUSED)[-1]["reason"] == "too_large"
    assert played.run.ledger()["slots"] == 24
    totals: dict[str, float] = {}
    for report in played.run.reports.values():
        for name, value in report.counters.items():
            totals[name] = totals.get(name, 0.0) + value
    assert 0 < totals["foreign_refused{flood}"] <= 2 * 2 * MOST_FRAMES_PER_S


def test_the_rental_world_asks_each_slot_and_tells_each_outcome(tmp_path: Path) -> None:
    scenario = resolve(scenario_file.load("quickstart-rental", ["frames=6", "deadlines.stop_s=0.05"]))

    def decide(agent: ForeignAgent, header: tuple[int, ...], said: dict[str, Any]) -> Any:
        return {"units": 99 if header[6] == 3 and header[5] else 1}

    played = Played(tmp_path, decide, scenario=scenario)
    agent = played.play()
    told = [m for _, m in sorted(played.run.told("/edge/0/rental_in_force").items()) if isinstance(m, RentalInForce)]
    assert [message.units for message in told] == [1] * 6
    assert [message.refused for message in told] == ["", "", "", "malformed", "", ""]
    assert agent.told(REFUSED)[-1]["reason"] == "out_of_range"
    outcomes = [header[6] for kind, header, _ in agent.heard if kind == 24]
    assert outcomes == [0, 1, 2, 3, 4]
    rented = [said["neighbours"] for kind, _, said in agent.heard if kind == 24]
    others = [played.run.told(f"/edge/{other}/rental_in_force") for other in agent.setup["neighbours"]]
    assert rented == [[told[slot].units for told in others] for slot in range(5)]  # type: ignore[attr-defined]
    assert len(others) == 2
    assert any(map(any, rented))
    assert RENTAL == 22
