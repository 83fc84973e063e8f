"""`edgerig bag convert`: a bag as JSON lines, as a CSV table for each topic, or as a bag of another encoding."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import click

from bus.codec import decode
from bus.qos import Qos
from emulator.cli.decoded import document, plain
from monitoring.bag_commits import commits_of
from monitoring.bag_facts import chosen
from monitoring.bag_reader import Bag, Record
from monitoring.bag_writer import RECORDING, RUN, BagError, BagWriter

FORMS = ("jsonl", "csv", "json", "msgpack")


@click.command("convert")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="What to write; must not exist.")
@click.option(
    "--to",
    "form",
    type=click.Choice(FORMS),
    help="jsonl: a line a message; csv: a folder, a table a topic; json, msgpack: a bag.  [default: by -o's suffix]",
)
@click.option("--topic", "patterns", multiple=True, metavar="TOPIC", help="Only these (repeat; * and ** as in record).")
@click.option("--from", "first", type=click.IntRange(0), default=0, metavar="SLOT", help="From this slot on.")
@click.option("--until", "last", type=click.IntRange(0), metavar="SLOT", help="Up to this slot.")
@click.option("--committed", is_flag=True, help="Without attempts that were given up.")
def convert_command(
    path: Path,
    out: Path,
    form: str | None,
    patterns: tuple[str, ...],
    first: int,
    last: int | None,
    committed: bool,
) -> int:
    """Write FILE in another form; of a file that a crash cut short, what can be read."""
    found = form or {".jsonl": "jsonl", ".mcap": "json", ".csv": "csv", "": "csv"}.get(out.suffix)
    if found is None:
        raise click.ClickException(f"-o {out}: its suffix tells no form; give --to {'|'.join(FORMS)}")
    if out.exists():
        raise click.ClickException(f"-o {out}: exists already; choose another or remove it")
    wanted = chosen(patterns)
    bag = Bag(path)
    try:
        counts = _counting(bag) if committed else None

        def fits(record: Record) -> bool:
            place = record.place()
            inside = wanted(record.topic) and first <= place.slot and (last is None or place.slot <= last)
            return inside and (counts is None or counts(place.slot, place.attempt))

        picked = (record for record in bag.records() if fits(record))
        written = {"jsonl": _lines, "csv": _tables}.get(found, bag_of(found, bag))(picked, out)
    except BagError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"-o {out}: {error.strerror}; make room or choose another") from None
    click.echo(f"{out}: {written} messages")
    if not bag.whole:
        click.echo(f"{path}: {bag.damage}; what came before it is in {out}", err=True)
    return 0


def _counting(bag: Bag) -> Callable[[int, int], bool]:
    return commits_of(bag.records()).count


def _lines(found: Iterator[Record], out: Path) -> int:
    written = 0
    with out.open("x", encoding="utf-8") as file:
        for record in found:
            file.write(json.dumps(_document(record), allow_nan=False) + "\n")
            written += 1
    return written


def _document(record: Record) -> dict[str, Any]:
    """The same document as `edgerig topic echo --json` prints."""
    return document(record.topic, decode(record.payload(), record.message_type()), record.header())


def _tables(found: Iterator[Record], out: Path) -> int:
    """A folder of tables, named by topic; lists and records in a cell are JSON."""
    written = 0
    out.mkdir()
    files: dict[str, IO[str]] = {}
    writers: dict[str, Any] = {}
    try:
        for record in found:
            shown = _document(record)
            message = shown.pop("message")
            if record.topic not in writers:
                table: IO[str] = (out / f"{record.topic.strip('/').replace('/', '.')}.csv").open(
                    "x", newline="", encoding="utf-8"
                )
                files[record.topic] = table
                writers[record.topic] = csv.writer(table, lineterminator="\n")
                writers[record.topic].writerow((*list(shown)[1:], *message))
            writers[record.topic].writerow((*list(shown.values())[1:], *map(_cell, message.values())))
            written += 1
    finally:
        for file in files.values():
            file.close()
    return written


def _cell(value: Any) -> object:
    return json.dumps(plain(value)) if isinstance(value, list | dict) else value


def bag_of(encoding: Any, source: Bag) -> Callable[[Iterator[Record], Path], int]:
    """What writes messages into a bag of another encoding, with the notes and files of their source."""

    def write(found: Iterator[Record], out: Path) -> int:
        bag: BagWriter | None = None
        for record in found:
            facts = record.channel.facts
            if bag is None:
                bag = _begin(out, encoding, source)
            header = record.header()
            if not bag.has_channel(record.topic, header.instance):
                record.message_type()  # raises where we do not know the topic
                assert record.channel.spec is not None  # noqa: S101 -- as message_type() has found
                qos = Qos(
                    "reliable" if facts.get("reliability") == "reliable" else "best_effort",
                    "transient_local" if facts.get("durability") == "transient_local" else "volatile",
                    int(facts.get("depth", 1)),
                    int(facts.get("history", 64)),
                )
                names = (facts.get("publisher", ""), facts.get("process", ""))
                bag.add_channel(record.topic, header.instance, record.channel.spec, qos, *names)
            bag.write(record.topic, header, record.payload())
        bag = bag or _begin(out, encoding, source)
        recording = source.notes.get(RECORDING)
        if recording is not None:
            bag.note(RECORDING, recording)
        bag.note("converted", {"from": source.path.name, "whole": str(source.whole).lower(), "damage": source.damage})
        bag.close()
        return bag.messages

    return write


def _begin(out: Path, encoding: Any, source: Bag) -> BagWriter:
    run = source.notes.get(RUN, {})
    bag = BagWriter(out, encoding, float(run.get("slot_s", 0.0)))
    for name, data in source.attachments.items():
        bag.attach(name, "application/octet-stream", data)
    if run:
        bag.note(RUN, {**run, "encoding": encoding})
    return bag
