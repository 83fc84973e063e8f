"""Bad networks: what is lost below QoS changes no number, what links withhold changes them in every way alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_digests import APART, GROUPED, TABLES, play
from thread_run import Kill, ThreadRun, small

from bus.messages import LinkChange, LinkRule
from emulator import run as runs
from emulator.scenario import Link, NetworkFaults

LOSSY = (
    Link(source="cell/*", target="*", loss=0.1, latency_s=0.2, jitter_s=0.1),
    Link(source="edge/*", target="*", both=True, loss=0.1, latency_s=0.1),
    Link(source="scheduler", target="*", loss=0.2),
    Link(source="edge/1", target="cloud", rate_bps=5e3, latency_s=0.3),
)
LATE = (Link(source="*", target="*", latency_s=15.0, jitter_s=8.0),)
CUT = (Link(source="edge/1", target="*", both=True, cut=((2, 5),)),)
SLOW = (Link(source="*", target="*", rate_bps=60.0, duplicate=0.2, trace_ms=(1.0, 5.0, 4000.0), reorder=0.1),)
LINKS: dict[str, tuple[Link, ...]] = {"lossy": LOSSY, "late": LATE, "cut": CUT, "slow": SLOW}
TASKS: dict[str, dict[str, Any]] = {
    "expected": {},
    "sampled": {"tasks": "sampled"},
    "queued": {"tasks": "queued", "slot_s": 1.0},
    "at the edges": {"scheduler": {"at": "edges"}},
    "network policy": {"agent": {"policy": "marginal-greedy"}},
}  # fmt: skip


PAIRS = [("expected", links) for links in LINKS] + [(tasks, "lossy") for tasks in TASKS if tasks != "expected"]
ALL = [(tasks, links) for tasks in TASKS for links in LINKS if (tasks, links) not in PAIRS]


@pytest.mark.parametrize(("tasks", "links"), [*PAIRS, *(pytest.param(*pair, marks=pytest.mark.soak) for pair in ALL)])
def test_what_links_withhold_is_the_same_in_process_and_in_every_grouping(
    tmp_path: Path, tasks: str, links: str
) -> None:
    scenario = small(
        seed=7, link=without_scheduler(LINKS[links]) if tasks == "at the edges" else LINKS[links], **TASKS[tasks]
    )
    apart = play(scenario, tmp_path / "apart", APART)
    grouped = play(scenario, tmp_path / "grouped", GROUPED)
    here = runs.in_process(scenario, str(tmp_path / "here"), lambda status: None)
    for table in TABLES:
        assert (tmp_path / "apart" / table).read_text() == (tmp_path / "here" / table).read_text()
        assert (tmp_path / "apart" / table).read_bytes() == (tmp_path / "grouped" / table).read_bytes()
    assert apart.ledger()["digest"] == grouped.ledger()["digest"] == here.summary["digest"]
    assert apart.ledger()["dropped_by_reason"] == here.summary["dropped_by_reason"]
    plain = runs.in_process(small(seed=7, **TASKS[tasks]), str(tmp_path / "plain"), lambda status: None)
    assert plain.summary["digest"] != here.summary["digest"]


def without_scheduler(links: tuple[Link, ...]) -> tuple[Link, ...]:
    return tuple(link for link in links if link.source != "scheduler")


@pytest.mark.parametrize("tasks", TASKS)
def test_links_that_withhold_nothing_change_nothing(tmp_path: Path, tasks: str) -> None:
    link = (Link(source="*", target="*", latency_s=1e-3),)
    digests = set()
    for links in ((), link):
        scenario = small(seed=7, link=links, **TASKS[tasks])
        digests.add(play(scenario, tmp_path / f"bus{len(links)}", APART).ledger()["digest"])
        digests.add(
            runs.in_process(scenario, str(tmp_path / f"here{len(links)}"), lambda status: None).summary["digest"]
        )
    assert len(digests) == 1


@pytest.mark.parametrize("layout", [APART, GROUPED], ids=["apart", "grouped"])
def test_loss_below_qos_and_random_delays_change_nothing(tmp_path: Path, layout: dict[str, Any]) -> None:
    wanted = runs.in_process(small(seed=7), str(tmp_path / "here"), lambda status: None).summary["digest"]
    for k in range(3):
        network = NetworkFaults(loss=0.01 * (1 + 4 * k), delay_s=0.002)
        scenario = small(seed=7, network=network)
        assert play(scenario, tmp_path / str(k), layout).ledger()["digest"] == wanted


def test_links_cut_and_healed_by_hand_are_as_if_the_scenario_had_cut_them(tmp_path: Path) -> None:
    taken: list[int] = []
    cut, heal = (
        LinkChange((LinkRule(action, "edge/1", "*"), LinkRule(action, "*", "edge/1"))) for action in ("cut", "heal")
    )

    def by_hand(run: ThreadRun) -> None:
        now = run.hub._now
        if now is not None and now.slot == (2, 4, 99)[len(taken)]:
            taken.append(run.hub._links._on_change((cut, heal)[len(taken)]).slot)

    live = ThreadRun(small(seed=7), tmp_path / "live", layout=APART, on_turn=by_hand)
    assert live.play() == 0
    assert taken == [3, 5]
    link = Link(source="edge/1", target="*", both=True, cut=((3, 5),))
    here = runs.in_process(small(seed=7, link=(link,)), str(tmp_path / "here"), lambda status: None)
    for table in TABLES:
        assert (tmp_path / "live" / table).read_text() == (tmp_path / "here" / table).read_text()
    assert live.ledger()["digest"] == here.summary["digest"]
    assert live.ledger()["dropped_by_reason"]["link"] > 0.0
    told = (tmp_path / "live" / "links.csv").read_text().splitlines()
    assert [line.split(",")[:4] for line in told[1:]] == [
        ["3", "cut", "edge/1", "*"],
        ["3", "cut", "*", "edge/1"],
        ["5", "heal", "edge/1", "*"],
        ["5", "heal", "*", "edge/1"],
    ]
    assert any("cut edge/1 > * from slot 3 on" in note for note in live.ledger()["notes"])


def test_a_death_behind_bad_links_costs_an_attempt_and_no_task(tmp_path: Path) -> None:
    for network in (NetworkFaults(), NetworkFaults(loss=0.05)):
        folder = tmp_path / str(network.loss)
        kills = [Kill("edge-1", 2, "/edge/1/offload/.*"), Kill("cloud", 5, "/scheduler/schedule")]
        run = ThreadRun(small(seed=7, link=LOSSY, network=network), folder, layout=APART, kills=kills)
        assert run.play() == 0
        assert run.attempts(2) > 1
        assert run.attempts(5) > 1
        rows = run.slots()
        for k, tasks in enumerate(rows["tasks"]):
            ended = sum(rows[name][k] for name in ("local", "peer", "cloud", "dropped"))
            assert ended == pytest.approx(tasks)


@pytest.mark.soak
@pytest.mark.parametrize("k", range(20))
def test_twenty_runs_with_one_percent_of_loss_and_random_delays_have_one_digest(tmp_path: Path, k: int) -> None:
    # Pauses of other lengths bring other orders of arrival, and with them other losses.
    wanted = runs.in_process(small(seed=7), str(tmp_path / "here"), lambda status: None).summary["digest"]
    network = NetworkFaults(loss=0.01, delay_s=0.001 + 0.0005 * k, delay_share=0.05 + 0.02 * k)
    layout = (APART, GROUPED, {"edge": [(0, 2), (2, 1)], "agent": [(0, 1), (1, 2)]})[k % 3]
    assert play(small(seed=7, network=network), tmp_path / "run", layout).ledger()["digest"] == wanted
