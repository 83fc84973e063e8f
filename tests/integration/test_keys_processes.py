"""Runs with keys, from the command line: the same numbers, and one clear line for whoever has the wrong ones."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live_run import SMALL, LiveRun, edgerig, finished, until

pytestmark = pytest.mark.processes


def told(*arguments: str) -> dict[str, Any]:
    """What a command says of a short run."""
    done = finished(*arguments, "--frames", "2", "--json")
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def create(tmp_path: Path) -> Path:
    keys = tmp_path / "keys"
    assert finished("keys", "create", str(keys)).returncode == 0
    return keys


def test_a_run_with_keys_has_the_same_digest_is_recorded_whole_and_leaves_no_secret_in_its_folder(
    tmp_path: Path,
) -> None:
    keys, kept = create(tmp_path), tmp_path / "kept"
    document = told("run", "quickstart", "--record", "--keys", str(keys), "--out", str(kept))
    assert document["digest"] == told("sim", "quickstart", "--out", str(tmp_path / "sim"))["digest"]
    assert json.loads((kept / "hub.json").read_text())["keys"] == str(keys)
    secrets = [line.split('"')[1] for path in keys.glob("*.key") for line in path.read_text().splitlines()[3:]]
    assert len(secrets) == 8
    written = [path.read_bytes() for path in kept.rglob("*") if path.is_file()]
    assert not any(secret.encode() in held for secret in secrets for held in written)
    assert document["recording"]["complete"]
    computed = finished("bag", "digest", str(kept / "run.mcap"), "--json")
    assert computed.returncode == 0, computed.stderr
    assert json.loads(computed.stdout)["digest"] == document["digest"]


def test_listening_beyond_this_machine_without_keys_takes_a_word(tmp_path: Path) -> None:
    done = finished("node", "start", "hub", "--bind", "0.0.0.0", "--run", str(tmp_path))
    assert done.returncode == 2
    assert "--open-to-the-network-without-keys" in done.stderr


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    keys = create(tmp_path)
    (keys / "launcher.key").chmod(0o644)
    done = finished("run", "quickstart", "--frames", "1", "--keys", str(keys), "--out", str(tmp_path / "run"))
    assert done.returncode == 2
    assert "chmod 600" in done.stderr


# -- tools on a live run -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveRun]:
    """A run with keys that goes on until the module's tests are done."""
    folder = tmp_path_factory.mktemp("live")
    made = LiveRun(folder, SMALL, "--keys", str(create(folder)))

    def runs() -> bool:
        return ": running," in finished("doctor", "--health", "--run", str(made.out)).stdout

    made.until(runs, "the run runs")
    yield made
    assert made.close() == []


DECISION = '{"edge": 0, "frame": 0, "services": []}'
TOOLS: list[tuple[tuple[str, ...], str]] = [
    (("node", "list"), "/edge/1"),
    (("node", "info", "/edge/0"), "/edge/0/outcome"),
    (("topic", "list"), "/agent/1/deployment"),
    (("topic", "info", "/hub/tick"), "publishers"),
    (("topic", "echo", "/hub/tick", "--once"), "slot"),
    (("topic", "pub", "/agent/0/deployment", DECISION), "published 1 on /agent/0/deployment to 1 subscribing"),
    (("interface", "list"), "Deployment"),
    (("interface", "show", "Deployment"), "services"),
    (("graph",), "/edge/0"),
    (("clock", "status"), "running"),
    (("top", "--json"), "cell-0"),
    (("doctor", "--health"), "healthy: running"),
    (("call", "--list", "/agent/0"), "param_set"),
    (("call", "/process/agent-0", "state"), '"process": "agent-0"'),
    (("call", "/process/agent-0", "repeat"), '"process": "agent-0"'),
    (("call", "/process/hub", "state"), '"process": "hub"'),
    (("call", "/hub", "status"), '"ready"'),
    (("param", "list", "/edge/0"), "log_level"),
    (("param", "set", "/edge/0", "log_level", "WARNING"), "/edge/0 log_level = WARNING"),
    (("param", "get", "/edge/0", "log_level"), "WARNING"),
    (("link", "set", "edge/0", "edge/1", "--latency", "0.01"), "1 links"),
    (("link", "list", "--json"), '"silent": []'),
    (("link", "heal", "edge/0", "edge/1"), "1 links"),
]


@pytest.mark.parametrize(("words", "expected"), TOOLS, ids=[" ".join(words[:3]) for words, _ in TOOLS])
def test_every_tool_works_on_a_run_with_keys(live: LiveRun, words: tuple[str, ...], expected: str) -> None:
    done = finished(*words, "--run", str(live.out))
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout + done.stderr


def test_a_tool_logs_and_records_on_a_run_with_keys(live: LiveRun, tmp_path: Path) -> None:
    at = ("--run", str(live.out))
    listening = edgerig("log", "--count", "1", "--json", *at, stdout=subprocess.PIPE)
    # The hub logs who leaves, so each tool that has come and gone is a record.
    until(lambda: finished("call", "/process/agent-1", "state", *at).returncode or listening.poll() == 0, "a record")
    assert listening.stdout is not None
    with listening.stdout:
        assert json.loads(listening.stdout.read())["node"] == "/hub"
    bag = tmp_path / "some.mcap"
    done = finished("bag", "record", "--all", "--duration", "1", "-o", str(bag), "--json", *at)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["lost"], facts["messages"] > 0) == (0, True)


def test_without_the_launchers_key_tools_look_and_change_nothing(live: LiveRun, tmp_path: Path) -> None:
    keys = tmp_path / "look"
    keys.mkdir(mode=0o700)
    for name in ("hub.pub", "observer.key"):
        text = (live.out.parent / "keys" / name).read_text()
        (keys / name).touch(mode=0o600)
        (keys / name).write_text(text)
    at = ("--run", str(live.out), "--keys", str(keys))
    assert finished("param", "get", "/edge/1", "log_level", *at).stdout == "INFO\n"
    assert finished("call", "/process/agent-0", "state", *at).returncode == 0
    repeat = finished("call", "/process/agent-0", "repeat", *at)
    assert (repeat.returncode != 0, "takes the launcher's key" in repeat.stderr) == (True, True)
    for words in (("param", "set", "/edge/1", "log_level", "DEBUG"), ("link", "cut", "edge/0", "edge/1")):
        done = finished(*words, *at)
        assert (done.returncode, "launcher.key" in done.stderr) == (2, True)
    said = finished("topic", "pub", "/agent/0/deployment", DECISION, *at)
    assert (said.returncode != 0, "may not publish /agent/0/deployment" in said.stderr) == (True, True)
    assert "Traceback" not in repeat.stderr + said.stderr
    assert finished("param", "get", "/edge/1", "log_level", *at).stdout == "INFO\n"
