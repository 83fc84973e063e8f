"""The tools against a small hub in a thread: what they print, and how they end."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bus.messages import Array, Arrivals, Peer, Tick
from bus.process import Process
from bus.registry import Registry
from emulator.cli import run_command

ARRIVALS = Arrivals(Array.of(np.arange(20.0)))


class Hub:
    """Two nodes in one process that publish from a thread until closed."""

    def __init__(self) -> None:
        self.joined: list[str] = []
        self._ready = threading.Event()
        self._close = threading.Event()
        self.address = ""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(10.0)

    def _run(self) -> None:
        process = Process("hub")
        names = ("/hub", "/cell/0")
        registry = Registry(process, {}, names=names, on_join=self._on_join)
        node = process.node("/hub")
        tick = node.publisher("/hub/tick")
        arrivals = process.node("/cell/0").publisher("/cell/0/arrivals")
        node.subscribe("/edge/0/outcome", lambda message, header: None)
        process.register("http://127.0.0.1:1/metrics")
        slots = iter(range(10**9))

        def publish() -> None:
            slot = next(slots)
            tick.publish(Tick(slot, slot // 5, 1), slot=slot)
            arrivals.publish(ARRIVALS, slot=slot)

        process.timers.every(0.002, publish)
        process.spin(lambda: bool(process.membership.peers), 5.0)
        self.address = registry.address
        self._ready.set()
        while not self._close.is_set():
            process.spin_once(0.01)
        process.close()

    def _on_join(self, peer: Peer) -> None:
        self.joined += [node.name for node in peer.nodes]

    def close(self) -> None:
        self._close.set()
        self._thread.join(10.0)


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    made = Hub()
    yield made
    made.close()


@pytest.fixture
def tool(
    hub: Hub, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGERIG_HUB", hub.address)

    def run(*words: str) -> tuple[int, str, str]:
        code = run_command(words)
        out, err = capfd.readouterr()
        return code, out, err

    return run


def test_node_list_shows_every_node_and_its_process(tool: Any, hub: Hub) -> None:
    code, out, err = tool("node", "list")
    assert code == 0, err
    assert [line.split()[0] for line in out.splitlines()] == [hub.address, "NODE", "/cell/0", "/hub"]
    code, out, _ = tool("node", "list", "--json")
    nodes = json.loads(out)["nodes"]
    assert [(n["node"], n["process"], n["pid"], n["part"], n["state"]) for n in nodes] == [
        ("/cell/0", "hub", os.getpid(), "hub", "active"),
        ("/hub", "hub", os.getpid(), "hub", "active"),
    ]


def test_node_info_says_with_whom_each_topic_is_matched(tool: Any) -> None:
    code, out, _ = tool("node", "info", "cell/0", "--json")
    document = json.loads(out)
    assert (code, document["node"]) == (0, "/cell/0")
    (topic,) = document["publishes"]
    assert (topic["topic"], topic["message"], topic["qos"]) == ("/cell/0/arrivals", "Arrivals", "reliable, latched")
    assert "nobody" in tool("node", "info", "/hub")[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("node", "info", "/cel/0"), "did you mean /cell/0"),
        (("node", "info", "hub"), "/hub: active, hub"),
        (("topic", "echo", "/cell/0/arrival"), "did you mean /cell/0/arrivals"),
        (("topic", "echo", "/cell/7/arrivals"), "nobody publishes /cell/7/arrivals; did you mean /cell/0/arrivals"),
        (("topic", "hz", "/edge/0/outcome"), "nobody publishes /edge/0/outcome"),
        (("topic", "list", "/nowhere"), "no topic begins with /nowhere"),
        (("topic", "echo", "/hub/tick", "--once", "--count", "2"), "give one of them"),
        (("graph", "--json", "--mermaid"), "give one of them"),
    ],
)
def test_a_name_that_is_wrong_gets_one_line_with_what_it_may_have_been(tool: Any, words: Any, said: str) -> None:
    code, out, err = tool(*words)
    assert said in out + err
    assert code == (0 if words == ("node", "info", "hub") else 2)
    assert code == 0 or (len(err.splitlines()), out) == (1, "")


def test_topic_list_has_both_ends(tool: Any) -> None:
    code, out, _ = tool("topic", "list", "--json")
    topics = {topic["topic"]: topic for topic in json.loads(out)}
    assert code == 0
    assert list(topics) == ["/cell/0/arrivals", "/edge/0/outcome", "/hub/tick"]
    assert topics["/hub/tick"]["plane"] == "control"
    assert topics["/edge/0/outcome"]["publishers"] == []
    assert topics["/edge/0/outcome"]["subscribers"] == [{"node": "/hub", "process": "hub"}]


def test_echo_prints_fields_and_numbers(tool: Any) -> None:
    code, out, err = tool("topic", "echo", "/cell/0/arrivals", "--once")
    head, tasks, end = out.splitlines()
    assert (code, err, end) == (0, "", "---")
    assert head.startswith("slot: ")
    assert tasks == "tasks: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, … 20 in all]"
    whole = tool("topic", "echo", "/cell/0/arrivals", "--once", "--full")[1]
    assert "17, 18, 19]" in whole


def test_echo_as_json_is_a_document_a_line_and_in_sequence(tool: Any) -> None:
    code, out, _ = tool("topic", "echo", "/hub/tick", "--count", "5", "--json")
    documents = [json.loads(line) for line in out.splitlines()]
    first = documents[0]["sequence"]
    assert code == 0
    assert [document["sequence"] for document in documents] == list(range(first, first + 5))
    assert all(document["message"]["slot"] == document["slot"] for document in documents)


def test_echo_waits_for_a_publisher_only_as_long_as_it_was_told(tool: Any) -> None:
    code, out, err = tool("topic", "echo", "/cell/7/arrivals", "--deadline", "0.2")
    assert (code, out) == (3, "")
    assert err == "/cell/7/arrivals: no message within 0.2 s (--deadline)\n"


def test_the_graph_itself_can_be_seen(tool: Any) -> None:
    code, out, _ = tool("topic", "echo", "/hub/graph", "--once")
    assert code == 0
    assert "process: hub" in out


def test_hz_counts_what_the_publisher_stamped(tool: Any) -> None:
    code, out, _ = tool("topic", "hz", "/hub/tick", "--count", "50", "--json")
    facts = json.loads(out)
    assert code == 0
    assert (facts["messages"], facts["window"], facts["lost"]) == (50, 49, 0)
    assert 0.0 < facts["gap_s"]["min"] <= facts["gap_s"]["mean"] <= facts["gap_s"]["max"]
    assert facts["rate_hz"] == pytest.approx(1.0 / facts["gap_s"]["mean"])


def test_observers_are_observers_and_leave_signals_as_they_were(tool: Any, hub: Hub) -> None:
    import signal

    before = signal.getsignal(signal.SIGINT)
    tool("topic", "echo", "/hub/tick", "--once")
    assert hub.joined[-1] == f"/observer/echo-{os.getpid()}"
    assert signal.getsignal(signal.SIGINT) is before


def test_graph_is_mermaid_or_json(tool: Any) -> None:
    assert tool("graph")[1].startswith("flowchart LR\n")
    document = json.loads(tool("graph", "--json")[1])
    assert [process["process"] for process in document["processes"]] == ["hub"]


def test_health_is_one_line(tool: Any) -> None:
    assert tool("doctor", "--health") == (0, "healthy: 1 processes\n", "")


@pytest.mark.parametrize("address", ["foo", "tcp://", "tcp://host", "tcp://host:0", "tcp://host:99999", "http://h:1"])
def test_a_broken_address_is_one_line_and_exit_2(tool: Any, address: str) -> None:
    for words in (("node", "list"), ("topic", "echo", "/hub/tick"), ("doctor",), ("graph",)):
        code, out, err = tool(*words, "--hub", address)
        assert (code, out) == (2, "")
        assert err == f"Error: --hub {address}: must be tcp://HOST:PORT, as in RUN/hub.json\n"


def test_a_silent_hub_is_exit_3_and_named(tool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    from emulator.cli import finding

    monkeypatch.setattr(finding.look, "__defaults__", (0.1,))
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"tcp://127.0.0.1:{mute.getsockname()[1]}"
        code, out, err = tool("node", "list", "--hub", address)
        assert (code, out) == (3, "")
        assert err.startswith(f"no hub answers at {address}: call 'peers' got no reply within 0.1 s")
        code, out, _ = tool("doctor", "--health", "--hub", address)
        assert code == 3
        assert out.startswith("unhealthy: no hub answers")


def test_an_unknown_flag_is_exit_2(tool: Any) -> None:
    code, _, err = tool("topic", "hz", "/hub/tick", "--windw", "3")
    assert code == 2
    assert "--window" in err


def test_node_start_has_its_help_in_the_group_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run_command(["node", "start", "--help"])
    assert ended.value.code == 0
    assert "--hub" in capsys.readouterr().out


def test_interfaces_of_a_live_run_and_of_none(
    tool: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = tool("interface", "list", "--json")
    assert code == 0
    live = json.loads(out)
    assert live["source"].startswith("the run at tcp://")
    tick = next(record for record in live["types"] if record["name"] == "Tick")
    assert [field["name"] for field in tick["fields"]] == ["slot", "frame", "roster"]
    assert "/hub/tick" in tick["topics"]
    monkeypatch.delenv("EDGERIG_HUB")
    code, out, err = tool("interface", "list", "--json")
    assert (code, err) == (0, "")
    shipped = {record["name"] for record in json.loads(out)["types"]}
    assert {"Tick", "Schedule", "Outcome"} <= shipped
    code, out, _ = tool("interface", "show", "/edge/3/offload/cloud")
    assert code == 0
    assert out.startswith("Offload  (type id ")
    assert "Array or null  optional" in out
    assert "topics: /{origin}/{m}/offload/{to}" in out
    code, _, err = tool("interface", "show", "Tock")
    assert code == 2
    assert "did you mean Tick?" in err


def test_a_call_in_json_is_checked_answered_and_listed(tool: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = tool("call", "--list", "hub", "--json")
    assert code == 0
    methods = {record["method"]: record for record in json.loads(out)}
    assert methods["types"]["request"] == "TypeQuery(names: list of str = ..., ids: list of int = ...)"
    assert methods["types"]["reply"] == "Types(types: list of TypeRecord)"
    code, out, _ = tool("call", "/hub", "types", '{"names": ["Tick"]}', "--json")
    assert code == 0
    assert json.loads(out)["types"][0]["name"] == "Tick"
    for words, said in [
        (("/hub", "type"), "did you mean types?"),
        (("/hubb", "types"), "/hubb serves nothing; did you mean /hub?"),
        (("/hub", "types", "{"), "not JSON"),
        (("/hub", "types", '{"name": "Tick"}'), "no field name; did you mean names?"),
        (("/hub",), "give NODE and METHOD"),
    ]:
        code, _, err = tool("call", *words)
        assert code == 2
        assert said in err
        assert "Traceback" not in err


def test_nodes_without_settings_are_named(tool: Callable[..., tuple[int, str, str]]) -> None:
    assert tool("param", "list", "--json")[:2] == (0, "{}\n")
    code, _, err = tool("param", "get", "/hub", "stall_s")
    assert code == 2
    assert "/hub has no settings" in err
