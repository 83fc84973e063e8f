"""The agent in C that shares no code with us, compiled and run by the launcher: as good as the same rule in Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from agent_c import IN_NODE, compiled, runnable_in_node
from live_run import PATIENCE_S, SMALL, LiveRun, finished

from agents.manifest import load
from agents.policy import Observation, Setting, make_policy
from bus import agent_wire as wire
from emulator import scenario_file
from emulator.assembly import resolve
from emulator.conformance import Session
from emulator.world import World

PYTHON = Path(__file__).parents[2] / "examples" / "agent-python" / "agent.toml"
pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("agent-c"))


def ran(tmp_path: Path, agent: str, *more: str, how: str = "run") -> dict[str, Any]:
    """A run's summary."""
    out = tmp_path / agent.rpartition("/")[2].replace("=", "-")
    done = finished(how, "quickstart", "--agent", agent, "--out", str(out), "--json", *more)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def recorded(edge: int) -> tuple[list[Any], list[tuple[int, ...]]]:
    """What edge server sees in 1,000 frames of the quickstart, then all of it at once (800,000 bytes, which come in
    several packets), and what the policy of the rule decides on it.
    """
    scenario = resolve(scenario_file.load("quickstart", []))
    world = World(scenario)
    setting = Setting(world.network, scenario.slots_per_frame, edge, scenario.seed)
    policy = make_policy("marginal-popularity", setting)
    shown = [np.zeros((0, world.network.services)), *(world.frame_arrivals(frame)[edge] for frame in range(999))]
    shown.append(np.concatenate(shown))
    decided = [policy.decide(Observation(frame, counts)) for frame, counts in enumerate(shown)]
    return shown, [tuple(np.flatnonzero(each).tolist()) for each in decided]


def answers(manifest: Path, folder: Path, edge: int, shown: list[Any]) -> list[tuple[int, ...]]:
    """What a program decides on them, over its sockets."""
    folder.mkdir()
    session = Session(load(manifest), edge, folder)
    try:
        session.begin()
        said = [wire.Observation(*counts.shape, counts.astype("<f8").tobytes()) for counts in shown]
        payloads = [msgspec.msgpack.encode(each) for each in said]
        return [session.decide(lambda _, bytes_=each: bytes_).services for each in payloads]  # type: ignore[attr-defined,misc]
    finally:
        session.close()


def test_a_thousand_recorded_frames_are_decided_alike_in_c_and_in_python_and_by_the_policy_of_the_rule(
    tmp_path: Path, manifest: Path
) -> None:
    shown, expected = recorded(edge=3)
    assert len(shown) == 1001
    assert len(set(expected)) > 100
    assert answers(manifest, tmp_path / "c", 3, shown) == expected
    assert answers(PYTHON, tmp_path / "python", 3, shown) == expected


def test_in_javascript_without_any_package_a_thousand_frames_are_decided_alike_too(tmp_path: Path) -> None:
    shown, expected = recorded(edge=1)
    assert answers(runnable_in_node(), tmp_path / "node", 1, shown) == expected


def test_it_can_be_one_among_others_and_the_copy_that_ran_is_kept(tmp_path: Path, manifest: Path) -> None:
    mixed = ran(tmp_path, f"1={manifest},popularity", "--frames", "2", "--set", "edges.count=3")
    assert mixed["missed"] == 0
    (folder,) = tmp_path.iterdir()
    (copy,) = (folder / "agents").glob("*/agent")
    assert copy.stat().st_mode & 0o777 == 0o555
    assert copy.read_bytes() == (manifest.parent / "agent").read_bytes()


def test_with_keys_all_examples_enrol_and_the_digest_is_as_without(tmp_path: Path, manifest: Path) -> None:
    keys = tmp_path / "keys"
    assert finished("keys", "create", str(keys)).returncode == 0
    small = ("--frames", "4", "--set", "edges.count=3")
    in_node = f"2={IN_NODE}," if shutil.which("node") else ""  # the test before this one says so where there is none
    programs = ran(tmp_path, f"0={manifest},1={PYTHON},{in_node}marginal-popularity", *small, "--keys", str(keys))
    assert programs["digest"] == ran(tmp_path, "marginal-popularity", *small, how="sim")["digest"]
    assert programs["missed"] == 0
    lent = [folder / "agent.key" for folder in Path("/dev/shm").glob("edgerig-keys-*")]
    secret = (keys / "agent.key").read_text()
    assert not [path for path in lent if path.exists() and path.read_text() == secret]


def test_without_the_key_of_its_role_it_says_so(tmp_path: Path, manifest: Path) -> None:
    environment = {"EDGERIG_KEYS": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [str(manifest.parent / "agent")], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "no public key can be read in" in done.stderr


def test_on_the_wall_clock_it_is_in_time(tmp_path: Path, manifest: Path) -> None:
    summary = ran(tmp_path, str(manifest), "--rate", "200", "--frames", "4", "--set", "edges.count=3")
    assert (summary["missed"], summary["refused"]) == (0, 0)


def test_killed_it_is_missed_at_once_and_one_started_by_hand_takes_its_place(
    live: Callable[..., LiveRun], manifest: Path
) -> None:
    run = live(SMALL + f'[agent]\npolicy = "1=exec:{manifest},popularity"\n')
    run.until(lambda: run.slot() >= 3, "slot 3")
    run.kill("agent-1")
    run.until(lambda: "/agent/1" not in run.members(), "its death is seen")
    assert "lost /agent/1: its process ended with code -9" in " ".join(run.status().notes)  # type: ignore[union-attr]
    environment = {"EDGERIG_HUB": run.address, "PATH": os.environ["PATH"]}
    again = subprocess.Popen([str(manifest.parent / "agent")], env=environment, stderr=subprocess.DEVNULL)
    try:
        run.until(lambda: "/agent/1" in run.members(), "another is bound")
        run.go_on()
        summary = run.stop()
        assert again.wait(PATIENCE_S) == 0
    finally:
        again.kill()
        again.wait()
    assert "foreign-agent-c takes part from slot" in " ".join(summary["notes"])


def test_what_cannot_be_run_is_refused_in_one_line_before_anything_starts(tmp_path: Path, manifest: Path) -> None:
    def refused(*arguments: str) -> str:
        done = finished(*arguments, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        return done.stderr.strip()

    changed = tmp_path / "changed.toml"
    text = manifest.read_text().replace('file = "agent"', f'file = "{manifest.parent}/agent"')
    assert "uses `edgerig run`" in refused("sim", "quickstart", "--agent", f"exec:{manifest}").replace(
        "use `", "uses `"
    )
    assert "No such file" in refused("run", "quickstart", "--agent", "nowhere/agent.toml")
    changed.write_text(text.replace("protocol = 1", "protocol = 7"))
    assert "edgerig speaks 1" in refused("run", "quickstart", "--agent", str(changed))
    changed.write_text(text.replace('observation = "counts"', f'sha256 = "{"0" * 64}"'))
    assert "it is another file than the manifest means" in refused("run", "quickstart", "--agent", str(changed))
    changed.write_text(text.replace('world = "offloading"', 'world = "rental"'))
    assert "world: is rental" in refused("run", "quickstart", "--agent", str(changed))
