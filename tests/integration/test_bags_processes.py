"""Bags of runs of real processes: complete by the hub's books, read by the format's own library, and after a kill."""

from __future__ import annotations

import csv
import json
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from live_run import SMALL, LiveRun, finished, until
from mcap.reader import make_reader

from bus import topics
from monitoring.bag_commits import digest_of
from monitoring.bag_facts import info
from monitoring.bag_json import schema_of
from monitoring.bag_reader import Bag

pytestmark = pytest.mark.processes

Start = Callable[..., LiveRun]


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quickstart")
    words = ("run", "quickstart", "--record", "--frames", "10", "--out", "run", "--json", "--set")
    done = finished(*words, "scheduler.backend=numpy", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run"


def sent(folder: Path) -> Counter[str]:
    """Messages by topic, as the publishers' own books have them: what any one of its subscribers was sent."""
    copies: Counter[tuple[str, str]] = Counter()
    with (folder / "messages.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["class"] == "data" and not row["topic"].startswith(("reply:", "call:")):
                copies[row["topic"], row["subscriber"]] += int(row["messages"])
    found: Counter[str] = Counter()
    for (topic, _), count in copies.items():
        found[topic] = max(found[topic], count)
    return found


def test_the_librarys_own_reader_lists_every_recorded_topic_its_count_and_its_schema(quickstart: Path) -> None:
    with (quickstart / "run.mcap").open("rb") as file:
        summary = make_reader(file, validate_crcs=True).get_summary()
    assert summary is not None
    assert summary.statistics is not None
    counts: Counter[str] = Counter()
    for channel in summary.channels.values():
        assert channel.message_encoding == "json"
        schema = summary.schemas[channel.schema_id]
        row = topics.match(channel.topic)
        assert (schema.name, schema.encoding) == (f"edgerig.{row.message.__name__}", "jsonschema")
        assert json.loads(schema.data) == json.loads(json.dumps(schema_of(row.message)))
        assert channel.metadata["plane"] == row.plane
        assert channel.metadata["reliability"] == row.qos.reliability
        counts[channel.topic] += summary.statistics.channel_message_counts[channel.id]
    told = {topic: count for topic, count in sent(quickstart).items() if count and topics.match(topic).recorded}
    # The graph goes on changing while processes come and go, before the recorder is there and after it has left.
    assert {topic: counts[topic] for topic in told if topic != "/hub/graph"} == {
        topic: count for topic, count in told.items() if topic != "/hub/graph"
    }
    assert counts["/hub/tick"] == 50
    assert counts["/edge/4/outcome"] == 50
    facts = json.loads((quickstart / "summary.json").read_text())["recording"]
    assert (facts["complete"], facts["lost"], facts["messages"]) == (True, 0, counts.total())


def test_the_bags_digest_is_the_runs(quickstart: Path) -> None:
    said = json.loads((quickstart / "summary.json").read_text())["digest"]
    done = finished("bag", "digest", str(quickstart / "run.mcap"), cwd=quickstart)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, said, "")


def test_a_converted_bag_is_no_different_and_a_changed_one_is(quickstart: Path, tmp_path: Path) -> None:
    bag = str(quickstart / "run.mcap")
    for words in (("convert", bag, "-o", "exact.mcap", "--to", "msgpack"), ("convert", bag, "-o", "tables")):
        assert finished("bag", *words, cwd=tmp_path).returncode == 0
    same = finished("bag", "diff", bag, "exact.mcap", "--json", cwd=tmp_path)
    assert (same.returncode, json.loads(same.stdout)["same"]) == (0, True)
    with (tmp_path / "tables" / "hub.tick.csv").open(newline="") as file:
        assert [int(row["slot"]) for row in csv.DictReader(file)] == list(range(50))
    part = finished("bag", "convert", bag, "-o", "part.mcap", "--until", "19", cwd=tmp_path)
    assert part.returncode == 0
    differs = finished("bag", "diff", bag, "part.mcap", cwd=tmp_path)
    assert differs.returncode == 1
    assert "first difference: slot 19" in differs.stdout


def test_a_death_in_a_recorded_run_leaves_the_digest_the_runs(live: Start) -> None:
    run = live(SMALL, "--record", "--encoding", "msgpack")
    run.go_on()
    run.kill("edge-1")
    run.go_on(20)
    summary = run.stop()
    check = digest_of(Bag(run.out / "run.mcap").records())
    assert (check.digest, check.missing) == (summary["digest"], [])
    assert summary["recording"]["lost"] == 0


def test_a_recorder_that_is_killed_leaves_all_but_a_second_and_the_run_goes_on(live: Start, tmp_path: Path) -> None:
    run = live(SMALL)
    run.go_on(1)
    recorder = run.helper("bag", "record", "--all", "-o", str(tmp_path / "live.mcap"), "--hub", run.address)
    until(lambda: (tmp_path / "live.mcap").exists() and _messages(tmp_path / "live.mcap") > 50, "something is recorded")
    recorder.send_signal(signal.SIGKILL)
    recorder.wait()
    facts = info(Bag(tmp_path / "live.mcap"))
    assert (facts["whole"], facts["gaps"], facts["complete"]) == (False, 0, False)
    done = finished("bag", "convert", "live.mcap", "-o", "whole.mcap", cwd=tmp_path)
    assert done.returncode == 0
    mended = info(Bag(tmp_path / "whole.mcap"))
    assert (mended["whole"], mended["messages"]) == (True, facts["messages"])
    run.go_on()
    run.stop()


def test_record_says_what_it_has_and_ends_with_the_run(live: Start, tmp_path: Path) -> None:
    run = live(SMALL)
    run.go_on(1)
    words = ("bag", "record", "/hub/tick", "/edge/*/outcome", "-o", str(tmp_path / "some.mcap"), "--hub", run.address)
    recorder = run.helper(*words, "--json")
    until(lambda: (tmp_path / "some.mcap").exists() and _messages(tmp_path / "some.mcap") > 20, "something is recorded")
    run.stop()
    out, err = recorder.communicate(timeout=60)
    facts = json.loads(out)
    assert (recorder.returncode, facts["lost"]) == (0, 0), err
    found = info(Bag(tmp_path / "some.mcap"))
    assert {topic["topic"] for topic in found["topics"]} == {"/hub/tick", "/edge/0/outcome", "/edge/1/outcome"}
    assert (found["whole"], found["gaps"]) == (True, 0)


def test_a_bag_plays_on_a_bus_of_its_own(quickstart: Path, live: Start) -> None:
    run = live(SMALL)
    player = run.helper(
        "bag",
        "play",
        str(quickstart / "run.mcap"),
        "--rate",
        "0",
        "--wait",
        "--topic",
        "/edge/1/outcome",
        "--from",
        "5",
    )
    assert player.stderr is not None
    address = player.stderr.readline().decode().split(" at ")[1].split()[0]
    words = ("topic", "echo", "/edge/1/outcome", "--hub", address, "--json", "--count", "45")
    done = finished(*words, cwd=quickstart)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["slot"] for line in done.stdout.splitlines()] == list(range(5, 50))
    assert player.wait(60) == 0
    run.stop()


def _messages(path: Path) -> int:
    return int(info(Bag(path))["messages"]) if path.stat().st_size > 200 else 0


def test_a_bag_plays_onto_a_live_hub_under_another_name_again_and_again(
    quickstart: Path, live: Start, tmp_path: Path
) -> None:
    other = live(SMALL)  # whose helpers it ends
    roscore = other.helper("hub")
    assert roscore.stdout is not None
    address = roscore.stdout.readline().decode().strip().removeprefix("export EDGERIG_HUB=")
    bag = str(quickstart / "run.mcap")
    words = (
        "bag",
        "play",
        bag,
        "--hub",
        address,
        "--topic",
        "/edge/1/outcome",
        "--remap",
        "/edge/1/outcome:=/edge/7/outcome",
    )
    player = other.helper(*words, "--rate", "0", "--wait", "--loop", "--from", "5")
    echo = ("topic", "echo", "/edge/7/outcome", "--hub", address, "--json", "--count", "100", "--deadline", "30")
    done = finished(*echo, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    slots = [json.loads(line)["slot"] for line in done.stdout.splitlines()]
    assert slots == [*range(5, 50), *range(5, 50), *range(5, 15)], "the bag from slot 5, and again from there"

    refused = finished(*words[:-2], "--remap", "/edge/1/outcome:=/edge/7/schedule_asked", cwd=tmp_path)
    assert refused.returncode == 2
    assert "/edge/7/schedule_asked" in refused.stderr
    twice = finished(*words, cwd=tmp_path)
    assert twice.returncode == 2
    assert "publishes it there" in twice.stderr

    player.send_signal(signal.SIGINT)
    assert player.wait(30) == 130
    roscore.send_signal(signal.SIGINT)
    assert roscore.wait(30) in (0, 130)
    other.stop()


def test_a_bag_does_not_play_over_those_who_speak(quickstart: Path, live: Start) -> None:
    run = live(SMALL)
    run.go_on(1)
    done = finished("bag", "play", str(quickstart / "run.mcap"), "--hub", run.address, cwd=quickstart)
    assert done.returncode == 2
    assert "publishes it there" in done.stderr
    assert "--remap" in done.stderr
    run.stop()
