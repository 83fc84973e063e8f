"""The tools as a person types them, on a run of real processes."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[2]
PATIENCE_S = 90.0
SCENARIO = """
name = "watched"
seed = 7
frames = {frames}
slots_per_frame = 5
[edges]
count = 2
[services]
count = 6
[scheduler]
backend = "numpy"
[processes]
edge = 1
agent = 1
"""


def edgerig(*words: str, cwd: Path, **options: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    environment.pop("EDGERIG_HUB", None)
    command = [sys.executable, "-P", "-m", "emulator", *words]
    return subprocess.Popen(command, cwd=cwd, env=environment, text=True, start_new_session=True, **options)


def until(condition: Callable[[], Any], what: str) -> Any:
    end_s, pause = time.monotonic() + PATIENCE_S, threading.Event()
    while not (found := condition()):
        assert time.monotonic() < end_s, f"not within {PATIENCE_S:g} s: {what}"
        pause.wait(0.05)
    return found


class Bench:
    """Runs and tools in one folder; all of them end with the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.children: list[subprocess.Popen[str]] = []

    def run(self, name: str, frames: int) -> subprocess.Popen[str]:
        (self.folder / f"{name}.toml").write_text(SCENARIO.format(frames=frames))
        words = ("run", f"{name}.toml", "--out", f"runs/{name}", "--json")
        log = (self.folder / f"{name}.log").open("w")
        self.children.append(edgerig(*words, cwd=self.folder, stdout=log, stderr=log))
        return self.children[-1]

    def start(self, *words: str) -> subprocess.Popen[str]:
        child = edgerig(*words, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.children.append(child)
        return child

    def tool(self, *words: str) -> tuple[int, str, str]:
        child = self.start(*words)
        out, err = child.communicate(timeout=PATIENCE_S)
        return child.returncode, out, err

    def until_running(self) -> None:
        until(lambda: ": running," in self.tool("doctor", "--health")[1], "the run runs")

    def close(self) -> None:
        for child in self.children:
            if child.poll() is None:
                child.send_signal(signal.SIGINT)
        for child in self.children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(10.0)
            child.kill()  # children of a run end with their launcher
            child.wait()
            for pipe in (child.stdout, child.stderr):
                if pipe is not None:
                    pipe.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def summary(bench: Bench, name: str) -> dict[str, Any]:
    return json.loads((bench.folder / "runs" / name / "summary.json").read_text())


def sent(bench: Bench, name: str) -> list[tuple[str, ...]]:
    """The run's own messages by link; the graph goes out again whenever somebody joins, an observer too."""
    with (bench.folder / "runs" / name / "messages.csv").open(newline="") as file:
        rows = [
            row for row in csv.DictReader(file) if row["class"] in ("data", "clock") and row["topic"] != "/hub/graph"
        ]
    return sorted(tuple(row.values()) for row in rows)


def test_observers_change_neither_the_digest_nor_the_traffic_of_a_run(bench: Bench) -> None:
    assert bench.run("alone", 200).wait(PATIENCE_S) == 0
    watched = bench.run("watched", 200)
    until(lambda: (bench.folder / "runs/watched/hub.json").exists(), "the hub says where it is")
    echo = bench.start("topic", "echo", "/edge/0/outcome", "--json", "--run", "runs/watched", "--deadline", "60")
    hz = bench.start("topic", "hz", "/hub/tick", "--json", "--run", "runs/watched")
    out, err = echo.communicate(timeout=PATIENCE_S)
    hz.communicate(timeout=PATIENCE_S)
    assert watched.wait(PATIENCE_S) == 0
    assert "the run ended: done" in err
    sequences = [json.loads(line)["sequence"] for line in out.splitlines()]
    assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
    alone, seen = summary(bench, "alone"), summary(bench, "watched")
    assert seen["digest"] == alone["digest"]
    assert seen["messages"]["observed"] > 0
    assert sent(bench, "watched") == sent(bench, "alone")
    for table in ("slots.csv", "frames.csv"):
        pair = [(bench.folder / "runs" / name / table).read_bytes() for name in ("alone", "watched")]
        assert pair[0] == pair[1]


def test_a_new_user_looks_at_a_run_and_stops_looking(bench: Bench) -> None:
    bench.run("long", 100_000)
    bench.until_running()
    code, out, _ = bench.tool("node", "list")
    assert code == 0
    assert out.startswith("runs/long  tcp://127.0.0.1:")
    assert {tuple(line.split()[1:3]) for line in out.splitlines()[2:]} == {("active", "member"), ("active", "hub")}
    code, out, _ = bench.tool("node", "info", "edge/1")
    assert code == 0
    assert "/edge/1/outcome" in out
    assert bench.tool("graph")[1].count("subgraph") == 5
    code, out, _ = bench.tool("doctor", "--json")
    run = {finding["check"]: finding["level"] for finding in json.loads(out)["findings"]}
    assert (run["run"], run["nodes"], run["slots"]) == ("ok", "ok", "ok")
    assert bench.tool("topic", "hz", "/hub/tick", "--count", "20")[0] == 0

    echo = bench.start("topic", "echo", "/hub/tick")
    assert echo.stdout is not None
    assert echo.stdout.readline().startswith("slot: ")
    echo.send_signal(signal.SIGINT)
    _, err = echo.communicate(timeout=PATIENCE_S)
    assert (echo.returncode, err) == (130, "")

    head = bench.start("topic", "echo", "/hub/tick")
    assert head.stdout is not None
    head.stdout.readline()
    head.stdout.close()
    assert head.wait(PATIENCE_S) == 0
    until(lambda: "/observer/" not in bench.tool("node", "list")[1], "observers leave")


def test_a_hub_that_dies_ends_echo_with_one_line_and_exit_3(bench: Bench) -> None:
    bench.run("long", 100_000)
    bench.until_running()
    hub = json.loads((bench.folder / "runs/long/hub.json").read_text())
    echo = bench.start("topic", "echo", "/hub/tick")
    assert echo.stdout is not None
    echo.stdout.readline()
    os.kill(hub["pid"], signal.SIGKILL)
    _, err = echo.communicate(timeout=PATIENCE_S)
    assert (echo.returncode, len(err.splitlines())) == (3, 1)
    assert err.startswith(f"no hub answers at {hub['hub']}: /hub did not answer beat within 2 s")
    code, _, err = bench.tool("node", "list", "--run", "runs/long")
    assert code == 3
    assert "the run in runs/long has ended" in err
    assert bench.tool("node", "list")[0] == 2


def test_the_doctor_says_who_is_missing_and_what_stands_still(bench: Bench) -> None:
    bench.run("long", 100_000)
    bench.until_running()
    nodes = json.loads(bench.tool("node", "list", "--json")[1])["nodes"]
    pids = {node["node"]: node["pid"] for node in nodes}
    os.kill(pids["/cell/0"], signal.SIGSTOP)
    code, out, _ = bench.tool("doctor", "--json")
    levels = {finding["check"]: finding for finding in json.loads(out)["findings"]}
    assert code == 2
    assert levels["slots"]["level"] == "problem"
    os.kill(pids["/cell/0"], signal.SIGKILL)
    os.kill(pids["/edge/0"], signal.SIGKILL)

    def missing() -> bool:
        code, out, _ = bench.tool("doctor")
        return code == 2 and "nobody holds /edge/0" in out and "nobody holds /cell/0" in out

    until(missing, "the doctor misses the dead")
    assert bench.tool("doctor", "--health")[0] == 0


def test_a_new_user_measures_a_topic_and_says_something_on_it(bench: Bench) -> None:
    running = bench.run("measured", 100_000)
    bench.until_running()
    code, out, err = bench.tool("topic", "info", "/cell/1/arrivals", "-v")
    assert (code, err) == (0, "")
    assert "publishers: 1" in out
    assert "/cell/1" in out.split("PUBLISHER")[1]
    for words in (("bw", "/cell/1/arrivals"), ("delay", "/edge/0/outcome")):
        code, out, err = bench.tool("topic", *words, "--count", "20", "--json")
        assert (code, err) == (0, "")
        facts = json.loads(out)
        assert facts["messages"] == 20
        assert facts["lost"] == 0
        if words[0] == "bw":
            assert facts["wire_bytes_per_s"] > facts["payload_bytes_per_s"] > 0.0
        else:
            assert 0.0 < facts["delay_s"]["min"] <= facts["delay_s"]["mean"]
    code, out, err = bench.tool("topic", "echo", "/cell/0/arrivals", "--csv", "--field", "tasks", "--count", "3")
    assert code == 0
    assert out.splitlines()[0].startswith("slot,attempt,sequence,t_wall_ns,tasks[0],tasks[1]")
    assert len(out.splitlines()) == 4
    code, out, err = bench.tool("top", "--json", "--every", "2.5")
    rows = {row["process"]: row for row in json.loads(out)["processes"]}
    assert {"hub", "cloud"} <= rows.keys()
    assert rows["hub"]["messages_per_s"] > 0.0
    assert all(row["memory_bytes"] > 10**6 for row in rows.values())
    code, out, err = bench.tool("clock", "status")
    assert (code, err) == (0, "")
    assert out.startswith("running (lockstep): slot ")
    code, out, err = bench.tool("topic", "pub", "/edge/0/outcom", "{}")
    assert (code, "did you mean /edge/0/outcome" in err) == (2, True)
    code, out, err = bench.tool("topic", "pub", "/hub/shutdown", '{"reason": 3}')
    assert (code, "Shutdown.reason" in err) == (2, True)
    code, out, err = bench.tool("topic", "pub", "/agent/0/deployment", '{"edge": 0, "frame": 0, "services": [1]}')
    assert (code, "published 1 on /agent/0/deployment to 1 subscribing processes" in err) == (0, True), err
    assert running.poll() is None


def test_links_of_a_live_run_are_set_cut_and_healed_and_say_how_they_measure(bench: Bench) -> None:
    bench.run("linked", 100_000)
    bench.until_running()
    assert json.loads(bench.tool("link", "list", "--json")[1])["links"] == []
    code, out, err = bench.tool(
        "link", "set", "edge/*", "cloud", "--latency", "0.2", "--jitter", "0.01", "--loss", "0.2", "--json"
    )
    assert code == 0, err
    assert json.loads(out)["links"] == 2

    def links() -> list[dict[str, Any]]:
        return json.loads(bench.tool("link", "list", "--json")[1])["links"]

    def measured() -> list[dict[str, Any]]:
        """Links with figures to judge, once all are as set: a busy machine holds a message up now and then."""
        passed = [link for link in links() if link["messages"] > 50]
        return passed if all(link["within"] for link in passed) else []

    found = until(measured, "messages pass the link, delayed and lost as set")
    assert {link["to"] for link in found} == {"/cloud"}
    for link in found:
        assert 0.0 < link["lost"] / link["messages"] < 0.5
        assert abs(link["delay_s"] - 0.2) < 0.02
    assert bench.tool("link", "cut", "edge/1", "cloud")[0] == 0
    until(lambda: any(link["down"] and link["blocked"] for link in links()), "the cut holds")
    assert bench.tool("link", "heal", "edge/1", "cloud")[0] == 0
    until(lambda: not any(link["down"] for link in links()), "the link is up again")
    table = (bench.folder / "runs/linked/links.csv").read_text().splitlines()
    assert [line.split(",")[1] for line in table] == ["action", "set", "cut", "heal"]
    code, out, err = bench.tool("link", "cut", "edge/77", "hub")
    assert code == 2
    assert "'edge/77' is no node" in err
    assert "pass no emulated link" in err
    assert "Traceback" not in err
