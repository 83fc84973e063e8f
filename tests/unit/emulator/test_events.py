"""What happens to a run is a line each in events.jsonl, and the last ones are notes."""

from __future__ import annotations

import json
from pathlib import Path

from bus.messages import Peer
from emulator.folder import Writer
from emulator.nodes.events import MOST_TEXTS, Events
from monitoring import runs


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def test_an_event_is_a_line_at_once(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    events = Events(writer, lambda: 7, 5)
    events.tell("lost", 'lost /edge/3: "killed",\nsaid somebody', ["/edge/3"])
    events("something")
    events.tell("link", "cut", ["edge/1", "edge/2"], slot=12, action="cut")
    first, second, third = lines(tmp_path)
    assert first == {"slot": 7, "kind": "lost", "nodes": ["/edge/3"], "text": 'lost /edge/3: "killed",\nsaid somebody'}
    assert (second["kind"], second["slot"]) == ("note", 7)
    assert (third["slot"], third["action"]) == (12, "cut")
    assert events.texts == [first["text"], "something", "cut"]
    writer.close()


def test_notes_are_the_last_ones_and_the_file_has_all(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    events = Events(writer, lambda: -1, 5)
    for number in range(MOST_TEXTS + 10):
        events(str(number))
    assert events.texts[0] == "10"
    assert len(events.texts) == MOST_TEXTS
    assert len(lines(tmp_path)) == MOST_TEXTS + 10
    assert lines(tmp_path)[0]["slot"] == 0
    writer.close()


def test_a_reset_empties_them_with_the_tables(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    events = Events(writer, lambda: 3, 5)
    events("before")
    writer.begin_again()
    assert not (tmp_path / "events.jsonl").exists()
    events("after")
    assert [line["text"] for line in lines(tmp_path)] == ["after"]
    writer.close()


def test_who_joins_is_named_with_all_nodes(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    fields = dict.fromkeys(Peer.__struct_fields__, ())
    peer = Peer(**{**fields, "process": "edge-3", "nodes": ()})  # type: ignore[arg-type]
    Events(writer, lambda: 3, 5).joined(peer, 20)
    writer.close()
    (tmp_path / "scenario.toml").write_text("")
    (event,) = runs.read(tmp_path).events
    assert (event["slot"], event["kind"], event["text"]) == (20, "joined", "edge-3 takes part from slot 20 on")
