"""Containers that are killed, paused, cut off, stopped and added while a run goes on beside Prometheus."""

from __future__ import annotations

import time
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
from container_stack import EDGES, Stack, run

from emulator.folder import read_table

pytestmark = pytest.mark.containers

LIVELINESS_S = 5.0
SCRAPE_S = 2.0
SLACK_S = 30.0
"""For a machine that has other things to do."""

STOP_S = 2.0
SCRAPES_S = 1.0


def lost(stack: Stack, node: str) -> bool:
    return stack.query("edgerig_node_up").get(node) == 0.0


def firing(stack: Stack, alert: str) -> bool:
    return bool(stack.query(f'ALERTS{{alertname="{alert}", alertstate="firing"}}'))


def test_prometheus_finds_every_process_by_itself(stack: Stack) -> None:
    # An agent's or an edge server's container is called by its node; of several nodes in one by the process.
    names = {f"/{kind}/{n}" for kind in ("edge", "agent") for n in range(EDGES)} | {"hub", "cloud", "cell-0-4"}
    stack.until(lambda: stack.query('up{job="edgerig"}') == dict.fromkeys(names, 1.0), "every target is up")
    # The first scrape of a process brings in what serves it.
    stack.until(
        lambda: sum(stack.query('scrape_duration_seconds{job="edgerig"}').values()) <= SCRAPES_S, "quick scrapes"
    )
    stack.until(lambda: stack.query("run:edgerig_slots:rate30s"), "the recording rules record")


def test_a_killed_agent_is_named_and_alerted_and_a_spare_takes_its_name(stack: Stack) -> None:
    victim = stack.holders()["/agent/2"]
    before = {each[:12] for each in stack.containers("agent")}
    run("docker", "kill", victim)
    # The spare is quick: node_up may be 0 for less than a scrape, so it is the hub's log that names the dead.
    named_s = stack.took(lambda: "lost /agent/2: no beat" in stack.compose("logs", "hub"), "the hub names it")
    assert named_s <= LIVELINESS_S + SLACK_S
    stack.until(lambda: stack.holders().get("/agent/2") not in (None, victim), "the spare takes part")
    assert stack.holders()["/agent/2"] in before
    run("docker", "start", victim)  # the next spare
    stack.until(lambda: stack.is_whole(), "nobody is missing")


def test_an_agent_without_a_spare_is_missed_until_it_is_back(stack: Stack) -> None:
    spare = {each[:12] for each in stack.containers("agent")} - set(stack.holders().values())
    victim = stack.holders()["/agent/4"]
    run("docker", "stop", *spare)
    run("docker", "kill", victim)
    assert stack.took(lambda: lost(stack, "/agent/4"), "Prometheus sees it") <= LIVELINESS_S + SCRAPE_S + SLACK_S
    stack.until(lambda: firing(stack, "EdgerigNodeLost"), "the alert fires")
    stack.until(lambda: "EdgerigNodeLost" in stack.alerted(), "Alertmanager hears of it")
    run("docker", "start", victim, *spare)
    stack.until(lambda: stack.is_whole() and not firing(stack, "EdgerigNodeLost"), "the alert resolves")
    stack.until(lambda: "EdgerigNodeLost" not in stack.alerted(), "Alertmanager hears of that")


@pytest.mark.parametrize(("service", "node"), [("edge", "/edge/2"), ("demand", "/cell/3"), ("cloud", "/scheduler")])
def test_a_killed_container_is_named_and_takes_part_again(stack: Stack, service: str, node: str) -> None:
    victim = stack.holders().get(node) or stack.containers(service)[0]
    run("docker", "kill", victim)
    assert stack.took(lambda: lost(stack, node), "Prometheus sees it") <= LIVELINESS_S + SCRAPE_S + SLACK_S
    run("docker", "start", victim)
    stack.until(lambda: stack.is_whole(), "nobody is missing")


def test_the_addresses_of_the_dead_may_be_anothers_at_once(stack: Stack) -> None:
    edge, agent = stack.holders()["/edge/4"], stack.holders()["/agent/0"]
    before = stack.addresses(edge)
    # The lowest free address is given first, so who had the higher one starts first, and gets the other's.
    later, first = sorted((edge, agent), key=lambda one: ip_address(stack.addresses(one)["data"]))
    run("docker", "kill", edge, agent)
    run("docker", "start", first)
    run("docker", "start", later)
    assert stack.addresses(agent)["data"] == before["data"]
    stack.until(lambda: stack.is_whole(), "nobody is missing")


def test_a_paused_edge_server_is_lost_and_comes_back_as_a_new_instance(stack: Stack) -> None:
    edge = stack.holders()["/edge/1"]
    run("docker", "pause", edge)
    assert stack.took(lambda: lost(stack, "/edge/1"), "Prometheus sees it") <= LIVELINESS_S + SCRAPE_S + SLACK_S
    run("docker", "unpause", edge)
    stack.until(lambda: stack.is_whole(), "nobody is missing")
    assert int(stack.inspect(edge)["RestartCount"]) == 1, "it heard that its lease was gone, and was started again"


def connected(stack: Stack, container: str, plane: str) -> bool:
    """Connect it; the engine refuses while it is between two starts of the container, and is asked again."""
    if plane not in stack.addresses(container):
        stack.docker("network", "connect", "--alias", "edge", f"{stack.name}_{plane}", container)
    return True


@pytest.mark.parametrize("plane", ["control", "data"])
def test_an_edge_server_that_is_cut_off_is_lost_and_comes_back(stack: Stack, plane: str) -> None:
    edge = stack.holders()["/edge/3"]
    run("docker", "network", "disconnect", f"{stack.name}_{plane}", edge)
    patience_s = 2 * LIVELINESS_S + SCRAPE_S + SLACK_S  # it looks for its own address for as long as the hub for it
    assert stack.took(lambda: lost(stack, "/edge/3"), "Prometheus sees it") <= patience_s
    stack.until(lambda: connected(stack, edge, plane), "it is connected again")
    stack.until(lambda: stack.is_whole(), "nobody is missing", 120.0)


def test_who_is_told_to_stop_goes_within_two_seconds_and_may_come_again(stack: Stack) -> None:
    for service in ("edge", "demand", "cloud"):
        one = stack.containers(service)[0]
        started_s = time.time()
        run("docker", "stop", one)
        state = stack.inspect(one)["State"]
        ended_s = datetime.fromisoformat(state["FinishedAt"][:26] + "+00:00").timestamp()
        assert state["ExitCode"] == 0
        assert ended_s - started_s <= STOP_S
        run("docker", "restart", one)
    stack.until(lambda: stack.is_whole(), "nobody is missing")


def test_no_task_is_lost_and_the_hubs_death_ends_the_run(stack: Stack, tmp_path: Path) -> None:
    [hub], member = stack.containers("hub"), stack.holders()["/edge/0"]
    killed_s = time.time()
    run("docker", "kill", hub)
    stack.until(lambda: stack.exit_codes(member, killed_s), "who has no hub ends")
    assert set(stack.exit_codes(member, killed_s)) == {3}
    assert "/hub" in run("docker", "logs", "--tail", "20", member) + stack.compose("logs", "--tail", "20", "edge")
    stack.until(lambda: firing(stack, "EdgerigHubDown"), "the alert fires")
    stack.compose("stop", "-t", "1", "demand", "edge", "agent", "cloud")
    table = read_table(stack.folder(tmp_path / "runs") / "slots.csv")
    assert table["slot"] == list(range(len(table["slot"])))
    assert len(table["slot"]) > 20
    for k, tasks in enumerate(table["tasks"]):
        ended = sum(table[where][k] for where in ("local", "peer", "cloud", "dropped"))
        assert ended == pytest.approx(tasks, abs=1e-9), f"slot {k}"
