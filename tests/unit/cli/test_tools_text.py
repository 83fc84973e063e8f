"""What the tools make of names, messages and graphs, by hand."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
import pytest

from bus.codec import Header, type_id
from bus.messages import Array, Completed, Deployment, Done, Member, NodeRecord, Offload, Peer, Roster, TopicRecord
from emulator.cli.columns import columns, natural, near
from emulator.cli.decoded import document, lines, plain
from emulator.cli.mermaid import draw
from emulator.cli.observing import MOST_WAITING, Outlet
from emulator.cli.picture import End, refusal, span, topics_of
from emulator.cli.topics import Gaps

HEADER = Header(1, 0, 0, 2, 0, 255, 12, 3, 0, 1_000_000_000)


def record(topic: str, message: type[Any], reliable: bool = True, latched: bool = False) -> TopicRecord:
    return TopicRecord(topic, type_id(message), reliable, latched)


def peer(name: str, instance: int, *nodes: NodeRecord) -> Peer:
    return Peer(name, instance, 100 + instance, "127.0.0.1", "", "", "", nodes)


def test_names_sort_as_people_count() -> None:
    assert sorted(["/edge/10", "/edge/9", "/cloud"], key=natural) == ["/cloud", "/edge/9", "/edge/10"]


def test_many_names_are_few_words() -> None:
    assert span(["/edge/2", "/edge/0", "/edge/1", "/edge/4", "/cloud", "/a/1"]) == "/a/1, /edge/0-2, /edge/4, /cloud"


def test_near_names_count_the_index_least() -> None:
    assert near("/edge/12/outcom", ["/edge/1/outcome", "/cell/12/arrivals", "/hub/tick"])[0] == "/edge/1/outcome"
    assert near("/nothing", ["/hub/tick"]) == []


def test_a_narrow_terminal_loses_the_spare_columns_and_is_told() -> None:
    rows = [["/edge/0/outcome", "Outcome", "data"], ["/hub/tick", "Tick", "control"]]
    wide = columns(("TOPIC", "MESSAGE", "PLANE"), rows, 80, ("PLANE", "MESSAGE"))
    assert wide[1].split() == rows[0]
    narrow = columns(("TOPIC", "MESSAGE", "PLANE"), rows, 27, ("PLANE", "MESSAGE"))
    assert narrow[1].split() == rows[0][:2]
    assert narrow[-1] == "(no room for PLANE; --json has all)"
    assert all(len(line) <= 10 for line in columns(("TOPIC",), [["/edge/0/outcome"]], 10))


def test_a_message_is_shown_by_field_arrays_as_numbers() -> None:
    offload = Offload(Array.of(np.array([0.0, 1.5, 2.0])))
    head, *fields, end = lines(offload, HEADER, full=False)
    assert head.startswith("slot: 12  attempt: 2  sequence: 3  time: ")
    assert fields == ["tasks: [0, 1.5, 2]", "at_s: None"]
    assert end == "---"
    grid = Offload(Array.of(np.zeros((9, 30))))
    short = lines(grid, HEADER, full=False)[1:-1]
    assert short[0] == "tasks: 9 x 30"
    assert short[1].endswith("… 30 in all]")
    assert short[9] == "  … 9 rows"
    assert len(lines(grid, HEADER, full=True)[1:-1]) == 1 + 9 + 1


def test_records_within_records_are_shown() -> None:
    roster = Roster(4, (Member("/edge/0", 7),))
    assert lines(roster, HEADER, full=False)[1:-1] == [
        "number: 4",
        "members:",
        "- node: /edge/0, instance: 7",
        "bindings: []",
        "links: []",
    ]
    done = Done("edge-0", 1, (("/edge/0/outcome", 0, b"\xab"),), {"wait_s": 0.5})
    assert lines(done, HEADER, full=False)[3:-1] == ["digests: [[/edge/0/outcome, 0, ab]]", "timings: {wait_s: 0.5}"]


def test_json_has_no_number_that_json_has_not() -> None:
    message = Completed(Array.of(np.array([np.inf, 1.0])))
    made = document("/cloud/completed/0", message, HEADER)
    assert made["message"] == {"delay_s": ["inf", 1.0], "service": None, "outstanding": -1, "lost": ""}
    assert (made["type"], made["instance"], made["slot"]) == ("Completed", "000000ff", 12)
    assert plain(b"\x01") == "01"


def test_gaps_by_hand() -> None:
    gaps = Gaps(window=2)
    assert gaps.facts() == {"rate_hz": None, "gap_s": None, "window": 0}
    for stamp_ns in (0, 10**9, 2 * 10**9, 5 * 10**9):
        gaps.add(1, stamp_ns)
    facts = gaps.facts()
    assert facts["gap_s"] == {"mean": 2.0, "min": 1.0, "max": 3.0, "std": 1.0}
    assert (facts["rate_hz"], facts["window"], gaps.messages) == (0.5, 2, 4)


def test_two_publishers_of_a_topic_are_measured_apart() -> None:
    gaps = Gaps(window=10)
    for k in range(4):
        gaps.add(1, k * 10**9)
        gaps.add(2, k * 10**9 + 10**8)
    assert gaps.facts()["gap_s"]["std"] == 0.0
    assert gaps.facts()["rate_hz"] == 2.0


def test_ends_that_do_not_fit_say_why() -> None:
    offer = End("/a", peer("a", 1), record("/edge/0/outcome", Deployment))
    assert refusal(offer, End("/b", peer("b", 2), record("/edge/0/outcome", Deployment))) is None
    assert refusal(offer, End("/b", peer("b", 2), record("/edge/0/outcome", Roster))) == "another message type"
    asked = End("/b", peer("b", 2), record("/edge/0/outcome", Deployment, latched=True))
    assert refusal(offer, asked) == "asked latched, offered volatile"
    loose = End("/a", peer("a", 1), record("/edge/0/outcome", Deployment, reliable=False))
    assert refusal(loose, End("/b", peer("b", 2), offer.record)) == "asked reliable, offered best effort"


def world() -> list[Peer]:
    peers = []
    for m in range(3):
        decides = record(f"/agent/{m}/deployment", Deployment)
        hands = [record(f"/edge/{m}/completed/{n}", Completed) for n in range(3) if n != m]
        takes = [record(f"/edge/{n}/completed/{m}", Completed) for n in range(3) if n != m]
        edge = NodeRecord(f"/edge/{m}", tuple(hands), (decides, *takes, record("/hub/roster", Roster)))
        peers.append(peer(f"agent-{m}", 10 + m, NodeRecord(f"/agent/{m}", (decides,))))
        peers.append(peer(f"edge-{m}", 20 + m, edge))
    return [*peers, peer("hub", 1, NodeRecord("/hub", (record("/hub/roster", Roster),)))]


def test_the_graph_draws_like_processes_as_one_box() -> None:
    assert draw(world()).splitlines() == [
        "flowchart LR",
        '  subgraph p0["agent-0 .. agent-2, 3 processes"]',
        '    n0_agent["/agent/0-2"]',
        "  end",
        '  subgraph p1["edge-0 .. edge-2, 3 processes"]',
        '    n1_edge["/edge/0-2"]',
        "  end",
        '  subgraph p2["hub"]',
        '    n2_hub["/hub"]',
        "  end",
        '  n0_agent -->|"/agent/{m}/deployment"| n1_edge',
        '  n1_edge -->|"/edge/{n}/completed/{m}"| n1_edge',
    ]


def test_the_whole_graph_has_each_node_and_the_control_plane_dotted() -> None:
    drawn = draw(world(), whole=True)
    assert drawn.count("subgraph") == 7
    assert '-.->|"/hub/roster"|' in drawn
    assert drawn.count('-->|"/edge/{n}/completed/{m}"|') == 6


def test_a_topic_of_another_version_is_shown_with_its_type_id() -> None:
    strange = peer("a", 1, NodeRecord("/a", (TopicRecord("/new/topic", 7, False, False),)))
    (topic,) = topics_of([strange])
    assert (topic.message, topic.plane, topic.qos) == ("unknown type 00000007", "?", "best effort")


def test_a_reader_that_has_stopped_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    with os.fdopen(read, "rb") as reader, os.fdopen(write, "w") as writer:
        monkeypatch.setattr(sys, "stdout", writer)
        outlet = Outlet()
        line = "x" * 9_999
        for _ in range(MOST_WAITING + 20):
            outlet.say(line)
        assert outlet.dropped > 0
        os.set_blocking(reader.fileno(), False)
        taken = 0
        for _ in range(100_000):
            outlet.flush()
            piece = reader.read(65_536)
            if not piece:
                break
            taken += len(piece)
        assert taken == (MOST_WAITING + 20 - outlet.dropped) * 10_000
        monkeypatch.undo()
