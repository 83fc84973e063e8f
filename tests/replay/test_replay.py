"""Each kind of node, given what it heard in a recorded run, says what it said: byte for byte, from a reference bag.

``EDGERIG_UPDATE=1 pytest tests/replay`` records the reference bags again (a change of the world's numbers must change
them, and the diff of a bag is no review: say in the commit why they change).
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from live_run import finished

from emulator.cli.bag_convert import bag_of
from emulator.replay import total
from emulator.replay_node import NodeReplay
from monitoring.bag_commits import digest_of
from monitoring.bag_reader import Bag
from monitoring.bag_writer import RECORDING

HERE = Path(__file__).parent
BAGS = {"expected": (), "queued": ("--set", "tasks=queued", "--set", "slot_s=1.0"), "edges": ("--scheduler", "@edges")}
NODES = ("/agent/0", "/agent/2", "/cell/1", "/cloud", "/edge/0", "/edge/2", "/ledger", "/scheduler")
WORLD = """
name = "reference"
seed = 11
frames = 3
slots_per_frame = 3
[edges]
count = 3
storage_bytes = 1e9
[services]
count = 6
[scheduler]
backend = "numpy"
[processes]
edge = 2
agent = 1
"""


@pytest.fixture(scope="module", autouse=True)
def _updated(tmp_path_factory: pytest.TempPathFactory) -> None:
    if not os.environ.get("EDGERIG_UPDATE"):
        return
    folder = tmp_path_factory.mktemp("update")
    (folder / "reference.toml").write_text(WORLD)
    for name, changes in BAGS.items():
        out = folder / name
        words = ("run", "reference.toml", "--out", str(out), "--record", "--encoding", "msgpack", "--json", *changes)
        done = finished(*words, cwd=folder)
        assert done.returncode == 0, done.stderr
        (out / "run.mcap").replace(HERE / f"{name}.mcap")


def reference(name: str) -> Bag:
    return Bag(HERE / f"{name}.mcap")


@pytest.mark.parametrize("world", BAGS)
@pytest.mark.parametrize("node", NODES)
def test_a_node_says_what_it_said(world: str, node: str) -> None:
    if (world, node) == ("edges", "/scheduler"):
        node = "/edge/1"  # there is no scheduler there
    with NodeReplay(reference(world), node) as replay:
        verdicts = list(replay.play())
    everything = total(verdicts)
    assert len(verdicts) == 9
    assert everything.same, everything
    assert len(everything.equal) >= (9 if node not in ("/ledger", "/agent/0", "/agent/2") else 3)


@pytest.mark.parametrize("world", BAGS)
def test_a_reference_bag_has_the_digest_of_its_run(world: str) -> None:
    bag = reference(world)
    check = digest_of(bag.records())
    assert bag.notes[RECORDING]["digest"] == check.digest
    assert bag.notes[RECORDING]["complete"] == "true"
    assert check.missing == []


def test_another_seed_makes_a_cell_say_something_else(tmp_path: Path) -> None:
    bag = reference("expected")
    with NodeReplay(bag, "/cell/1") as replay:
        turns = replay.turns
    assert sum(len(turn.expected) for turn in turns) == 9
    changed = bag.attachments["scenario.toml"].replace(b"seed = 11", b"seed = 12")
    assert changed != bag.attachments["scenario.toml"]
    other = _with_scenario(bag, changed, tmp_path)
    with NodeReplay(other, "/cell/1") as replay:
        everything = total(list(replay.play()))
    assert everything.different
    assert not everything.missing


def _with_scenario(bag: Bag, text: bytes, folder: Path) -> Bag:
    """The same messages under another scenario, as somebody would have it whose world has changed."""
    found = list(bag.records())
    bag.attachments["scenario.toml"] = text
    bag_of("json", bag)(iter(found), folder / "other.mcap")
    return Bag(folder / "other.mcap")


@pytest.mark.processes
def test_fresh_agents_decide_as_the_recorded_ones(tmp_path: Path) -> None:
    done = finished("bag", "play", str(HERE / "expected.mcap"), "--agents", "recorded", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["same"], facts["equal"], facts["recorded"]) == (True, 9, 9)
    done = finished("bag", "play", str(HERE / "expected.mcap"), "--agents", "cloud-only", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "different" in done.stdout
