"""Bags: exact payloads in a form that Foxglove reads, what counts in them, and what a crash leaves of them."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bus import topics
from bus.codec import VERSION, Header, encode_payload, type_id
from bus.digest import RunDigest
from bus.messages import Array, Arrivals, Books, Done, FrameReward, Offload, Outcome, Published, Roster, Shutdown, Tick
from bus.publisher import Publisher
from bus.testing import cluster
from emulator.recording import everything
from monitoring.bag_commits import commits_of, digest_of
from monitoring.bag_facts import chosen, compare, info
from monitoring.bag_json import decode_json, document_of, payload_of, schema_of
from monitoring.bag_reader import Bag
from monitoring.bag_writer import ENCODINGS, BagError, BagWriter
from monitoring.record import Recorder

HUB, CELL = 7, 8
ROOT_TYPES = {"object", "array", "string", "number", "integer", "boolean"}
SAMPLES = [
    Arrivals(Array.of(np.array([0.1, 1e300, -0.0, 5e-324, 1 / 3]))),
    Arrivals(Array.of(np.array([[1, 2], [3, 65535]], dtype="<u2"))),
    Arrivals(Array.of(np.zeros((0, 20)))),
    Arrivals(Array.of(np.array([1.1, 2.2], dtype="<f4"))),
    Arrivals(Array.of(np.array([True, False]))),
    Arrivals(Array.of(np.array([math.nan, math.inf, -math.inf, 1.0]))),
    Arrivals(Array("<f8", (1,), struct.pack("<Q", 0x7FF8_0000_0000_0123))),
    FrameReward(3, math.nan, math.inf, -math.inf),
    Offload(Array.of(np.ones(3)), Array.of(np.arange(2.0))),
    Offload(Array.of(np.ones(3))),
    Done("edge-0", 3, (("/edge/0/outcome", 0, bytes(range(32))),), {"schedule_s": 0.25}),
]


def header(slot: int, sequence: int, instance: int = HUB, attempt: int = 0, kind: int = 0) -> Header:
    return Header(
        VERSION, 0, 0, attempt, kind, instance, slot, sequence, 0, 1_700_000_000_000_000_000 + sequence * 10**6
    )


class Book:
    """Writes messages as if they had come from the bus."""

    def __init__(self, path: Path, encoding: Any = "json") -> None:
        self.bag = BagWriter(path, encoding, 60.0)
        self._sequences: dict[tuple[str, int], int] = {}

    def add(self, topic: str, message: Any, slot: int, instance: int = HUB, attempt: int = 0, skip: int = 0) -> bytes:
        spec = topics.match(topic)
        key = (topic, instance)
        if not self.bag.has_channel(*key):
            self.bag.add_channel(topic, instance, spec, spec.qos, f"/{topic.split('/')[1]}", "p")
        self._sequences[key] = self._sequences.get(key, 0) + 1 + skip
        payload = message if isinstance(message, bytes) else encode_payload(message)
        self.bag.write(topic, header(slot, self._sequences[key], instance, attempt, type_id(spec.message)), payload)
        return payload


@pytest.mark.parametrize("message", SAMPLES)
def test_json_gives_the_payload_back_byte_for_byte(message: Any) -> None:
    payload = encode_payload(message)
    document = document_of(type(message), {"slot": 1, "attempt": 0, "round": 0}, payload)
    assert payload_of(type(message), decode_json(document)) == payload
    assert b"NaN," not in document.replace(b'"NaN"', b"")


def test_a_payload_in_another_spelling_or_none_at_all_comes_back_too() -> None:
    odd = b"\x93\xcd\x00\x01\x02\x03"  # 1 as a 16-bit number
    for payload in (odd, b"", b"\xc1", encode_payload(Arrivals(Array("<f8", (1,), b"123")))):
        kind = Tick if payload in (odd, b"", b"\xc1") else Arrivals
        document = document_of(kind, {"slot": 1, "attempt": 0, "round": 0}, payload)
        assert payload_of(kind, decode_json(document)) == payload


def check_foxglove(schema: dict[str, Any], where: str) -> None:
    """The part of JSON Schema that Foxglove's reader takes."""
    assert "$ref" not in schema, where
    assert schema["type"] in ROOT_TYPES, where
    if schema["type"] == "object":
        for name, field in schema["properties"].items():
            check_foxglove(field, f"{where}.{name}")
    if schema["type"] == "array":
        assert schema["items"]["type"] != "array", where
        assert "contentEncoding" not in schema["items"], where
        check_foxglove(schema["items"], f"{where}[]")


@pytest.mark.parametrize("row", topics.TABLE.rows, ids=lambda row: row.pattern)
def test_every_topic_has_a_schema_that_foxglove_reads(row: Any) -> None:
    schema = schema_of(row.message)
    assert schema["type"] == "object"
    check_foxglove(schema, row.message.__name__)
    assert set(row.message.__struct_fields__) < set(schema["properties"])
    assert "header" not in row.message.__struct_fields__


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_bag_gives_back_headers_and_payloads(tmp_path: Path, encoding: Any) -> None:
    book = Book(tmp_path / "a.mcap", encoding)
    said = [book.add("/cell/3/arrivals", SAMPLES[k % 4], k, CELL) for k in range(50)]
    book.bag.close()
    bag = Bag(tmp_path / "a.mcap")
    records = list(bag.records())
    assert bag.whole
    assert [record.payload() for record in records] == said
    assert [record.header()[:8] for record in records] == [
        header(k, k + 1, CELL, 0, type_id(Arrivals))[:8] for k in range(50)
    ]
    assert [record.publish_ns for record in records] == [k * 60 * 10**9 for k in range(50)]


def test_only_the_last_attempt_of_committed_slots_counts_and_only_what_was_acknowledged(tmp_path: Path) -> None:
    book = Book(tmp_path / "a.mcap")
    first = book.add("/cell/0/arrivals", SAMPLES[0], 0, CELL)
    book.add("/cell/0/arrivals", SAMPLES[2], 1, CELL)  # an attempt that is given up
    book.add("/hub/roster", Roster(2, ()), 1, attempt=1)
    second = book.add("/cell/0/arrivals", SAMPLES[1], 1, CELL, attempt=1)
    book.add("/cell/0/arrivals", SAMPLES[3], 1, CELL, attempt=1)  # said again for somebody new: not acknowledged
    book.add("/cell/0/arrivals", SAMPLES[4], 2, CELL)  # never committed
    for slot, payload, attempt in ((0, first, 0), (1, second, 1)):
        entry = ("/cell/0/arrivals", 0, _sha(payload))
        book.add("/process/cell/done", Done("cell", slot, (entry,)), slot, CELL, attempt)
    book.add("/hub/tick", Tick(2, 0, 2), 2)
    book.add("/hub/shutdown", Shutdown("stopped"), 2)
    book.bag.close()
    expected = RunDigest()
    for slot, payload in enumerate((first, second)):
        expected.commit(slot, [("/cell/0/arrivals", 0, _sha(payload))])
    check = digest_of(Bag(tmp_path / "a.mcap").records())
    assert (check.digest, check.messages, check.missing) == (expected.hex(), 2, [])
    commits = commits_of(Bag(tmp_path / "a.mcap").records())
    assert (commits.slots, commits.attempts, commits.ended) == (2, {1: 1}, True)


def test_what_was_acknowledged_and_is_not_there_is_named(tmp_path: Path) -> None:
    book = Book(tmp_path / "a.mcap")
    book.add("/process/cell/done", Done("cell", 0, (("/cell/0/arrivals", 0, bytes(32)),)), 0, CELL)
    book.add("/hub/shutdown", Shutdown("done"), 1)
    book.bag.close()
    assert digest_of(Bag(tmp_path / "a.mcap").records()).missing == ["slot 0: /cell/0/arrivals"]


def _sha(payload: bytes) -> bytes:
    import hashlib

    return hashlib.sha256(payload).digest()


# -- files that are cut, damaged or none -------------------------------------------------------------------------------


def test_what_was_flushed_before_a_crash_is_read_wherever_the_file_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    book = Book(path)
    for k in range(30):
        book.add("/cell/0/arrivals", SAMPLES[0], k, CELL)
        if k % 10 == 9:
            book.bag.flush()
    whole = path.read_bytes()  # never closed: no summary, no end mark
    found = info(Bag(path))
    assert (found["whole"], found["messages"], found["gaps"]) == (False, 30, 0)
    counts = set()
    for size in range(len(whole) - 1, 60, -17):
        cut = tmp_path / "cut.mcap"
        cut.write_bytes(whole[:size])
        facts = info(Bag(cut))
        assert not facts["whole"]
        assert facts["damage"]
        counts.add(facts["messages"])
    assert counts == {0, 10, 20, 30}


def test_a_damaged_chunk_ends_the_reading_and_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    book = Book(path)
    for k in range(30):
        book.add("/cell/0/arrivals", SAMPLES[0], k, CELL)
    book.bag.close()
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0xFF
    path.write_bytes(data)
    facts = info(Bag(path))
    assert (facts["whole"], facts["messages"]) == (False, 0)
    assert "damaged" in facts["damage"]


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 not a bag at all, but long enough to be one"])
def test_a_file_that_is_no_bag_is_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.mcap"
    path.write_bytes(data)
    with pytest.raises(BagError, match="no MCAP file"):
        info(Bag(path))


def test_a_bag_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "a.mcap").write_bytes(b"mine")
    with pytest.raises(BagError, match="exists already"):
        BagWriter(tmp_path / "a.mcap")
    assert (tmp_path / "a.mcap").read_bytes() == b"mine"


def test_a_sequence_that_was_left_out_is_a_gap(tmp_path: Path) -> None:
    book = Book(tmp_path / "a.mcap")
    for k in range(4):
        book.add("/cell/0/arrivals", SAMPLES[0], k, CELL, skip=3 * (k == 2))
    book.bag.close()
    assert info(Bag(tmp_path / "a.mcap"))["gaps"] == 3


# -- two bags ----------------------------------------------------------------------------------------------------------


def world(path: Path, *, odd: int = -1, slots: int = 4, encoding: Any = "json", instance: int = CELL) -> Bag:
    book = Book(path, encoding)
    for slot in range(slots):
        book.add("/hub/tick", Tick(slot, 0, 1), slot)
        for m in (0, 1):
            tasks = np.full(3, float(slot + (slot == odd and m == 1)))
            book.add(f"/cell/{m}/arrivals", Arrivals(Array.of(tasks)), slot, instance)
    book.add("/hub/shutdown", Shutdown("done"), slots)
    book.bag.close()
    return Bag(path)


def test_bags_of_equal_runs_are_equal_whatever_their_encoding_and_processes(tmp_path: Path) -> None:
    a, b = world(tmp_path / "a.mcap"), world(tmp_path / "b.mcap", encoding="msgpack", instance=99)
    found = compare(a, b, chosen(()))
    assert found.same
    assert found.equal == {"/cell/0/arrivals": 4, "/cell/1/arrivals": 4}


def test_the_first_difference_is_by_slot_then_topic(tmp_path: Path) -> None:
    a, b = world(tmp_path / "a.mcap"), world(tmp_path / "b.mcap", odd=2)
    found = compare(a, b, chosen(()))
    assert found.first is not None
    assert (found.first.slot, found.first.topic) == (2, "/cell/1/arrivals")
    assert found.different == {"/cell/1/arrivals": 1}
    assert compare(a, b, chosen(["/cell/0/**"])).same
    shorter = compare(a, world(tmp_path / "c.mcap", slots=3), chosen(()))
    assert shorter.only_ours == {"/cell/0/arrivals": 1, "/cell/1/arrivals": 1}


@pytest.mark.parametrize(
    ("pattern", "topic", "fits"),
    [
        ("/edge/*/outcome", "/edge/12/outcome", True),
        ("/edge/*/outcome", "/edge/1/offload/outcome", False),
        ("/edge/**", "/edge/1/offload/2", True),
        ("/edge/{m}/outcome", "/edge/3/outcome", True),
        ("/edge/1", "/edge/10", False),
        ("/edge/1.outcome", "/edge/1/outcome", False),
    ],
)
def test_topics_are_chosen_by_name_part_and_subtree(pattern: str, topic: str, fits: bool) -> None:
    assert chosen([pattern])(topic) is fits


# -- the recorder ------------------------------------------------------------------------------------------------------


def test_the_recorder_knows_what_it_missed_and_what_it_has_all_of(tmp_path: Path) -> None:
    with cluster() as bus:
        bus.hub({"cell": 2})
        cell = bus.member("cell", "cell", 0, 1)
        made: list[Publisher] = [cell.nodes["/cell/0"].publisher(t) for t in ("/cell/0/arrivals", "/cell/0/outcome")]
        bus.member("other", "cell", 1, 1).register()
        watcher = bus.process("recorder", instance=0)
        bus.join(watcher, "observer")
        (name,) = watcher.nodes
        bag = BagWriter(tmp_path / "a.mcap")
        recorder = Recorder(watcher.nodes[name], bag, lambda topic: topic.startswith("/cell/"), from_start=True)
        watcher.register()
        cell.register()
        bus.until(lambda: all(p.is_matched(watcher.uid) for p in made))
        for slot in range(5):
            made[0].publish(SAMPLES[0], slot=slot)
        bus.until(lambda: recorder.messages == 5)
        books = Books(True, "", (Published(cell.instance, {"/cell/0/arrivals": 5, "/cell/0/outcome": 0}),))
        assert recorder.behind(books) == []
        assert recorder.findings(books).proven
        assert recorder.findings(books).complete
        short = Books(True, "", (Published(cell.instance, {"/cell/0/arrivals": 7}),))
        assert recorder.behind(short) == ["/cell/0/arrivals"]
        found = recorder.findings(short)
        assert (found.lost, found.complete) == (2, False)
        assert "2 after the last that came" in found.gaps[0]
        gone = recorder.findings(Books(True))
        assert (gone.closed, gone.proven, gone.unproven) == (True, False, [f"{cell.instance:08x}"])
        bag.close()


def test_outcome_has_every_array_as_numbers() -> None:
    part = Array.of(np.arange(3.0))
    message = Outcome(part, part, part, part, part, part, part, part, {"late": 2.0})
    shown = decode_json(document_of(Outcome, {"slot": 0, "attempt": 0, "round": 0}, encode_payload(message)))
    assert shown["cost_s"] == {"dtype": "<f8", "shape": [3], "data": [0.0, 1.0, 2.0]}
    assert shown["reasons"] == {"late": 2.0}


def test_a_topic_of_somebodys_own_is_named_and_kills_no_recorder(tmp_path: Path) -> None:
    with cluster() as bus:
        bus.hub({"cell": 1})
        own = topics.TABLE.extended([topics.TopicSpec("chatter", Tick)])
        cell = bus.member("cell", "cell", 0, 1)
        cell.table = own
        cell.nodes["/cell/0"].publisher("/cell/0/arrivals")
        cell.nodes["/cell/0"].publisher("/chatter")
        watcher = bus.process("recorder", instance=0)
        bus.join(watcher, "observer")
        (name,) = watcher.nodes
        bag = BagWriter(tmp_path / "a.mcap")
        recorder = Recorder(watcher.nodes[name], bag, everything)
        watcher.register()
        cell.register()
        bus.until(lambda: "/cell/0/arrivals" in recorder.topics and bool(recorder.unknown))
        assert recorder.findings(None).unknown == ["/chatter"]
        bag.close()
