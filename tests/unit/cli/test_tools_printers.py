"""How a message is printed: whole, one field of it, as a line of a table; and how one is written by hand."""

from __future__ import annotations

import json
from typing import Any

import click
import numpy as np
import pytest

from bus.codec import Header, encode_payload
from bus.messages import Array, Arrivals, Deployment, LinkReport, Member, Message, Roster, Schedule, Shutdown
from bus.schemas import describe_type, message_class
from emulator.cli.composed import compose
from emulator.cli.printers import printer_of

HEADER = Header(1, 0, 0, 0, 0, 7, 12, 34, 0, 5_000_000_000)
ARRIVALS = Arrivals(Array.of(np.array([0.0, 2.5, 7.0])))
ROSTER = Roster(3, (Member("/edge/0", 9), Member("/edge/1", 10)))


def printed(message: Any, **how: Any) -> list[str]:
    printer = printer_of(**{"as_json": False, "as_csv": False, "field": None, "full": False, **how})
    return printer("/t", message, HEADER)


def test_one_field_is_printed_as_json() -> None:
    assert printed(ARRIVALS, field="tasks") == ["[0.0, 2.5, 7.0]"]
    assert printed(ARRIVALS, field="tasks[-1]") == ["7.0"]
    assert printed(ROSTER, field="members[1].node") == ['"/edge/1"']


def test_one_field_within_a_json_document_keeps_its_path() -> None:
    assert json.loads(printed(ROSTER, as_json=True, field="number")[0])["message"] == {"number": 3}


def test_a_table_has_names_once_and_every_entry_of_an_array() -> None:
    printer = printer_of(as_json=False, as_csv=True, field=None, full=False)
    head, first = printer("/t", ARRIVALS, HEADER)
    assert head == "slot,attempt,sequence,t_wall_ns,tasks[0],tasks[1],tasks[2]"
    assert first == "12,0,34,5000000000,0.0,2.5,7.0"
    assert printer("/t", Arrivals(Array.of(np.array([1.0]))), HEADER) == ["12,0,34,5000000000,1.0,,"]


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("task", "no field task; did you mean tasks?"),
        ("tasks[3]", r"\[3\] is beyond its 3 entries"),
        ("tasks.x", "nothing to take x of"),
        ("tasks[x]", "must be names and"),
        ("a..b", "must be names and"),
        ("", "must be names and"),
    ],
)
def test_a_field_that_is_none_says_what_there_is(field: str, text: str) -> None:
    with pytest.raises(click.ClickException, match=text):
        printed(ARRIVALS, field=field)


def test_a_message_is_composed_by_field_names() -> None:
    assert compose('{"edge": 3, "frame": 1, "services": [0, 4]}', Deployment) == Deployment(3, 1, (0, 4))
    assert compose("[3, 1, [0, 4]]", Deployment) == Deployment(3, 1, (0, 4))
    assert compose('{"reason": "enough"}', Shutdown) == Shutdown("enough", 0)


def test_arrays_are_lists_of_numbers_or_say_their_type() -> None:
    assert compose('{"tasks": [0, 2.5, 7]}', Arrivals) == ARRIVALS
    shares = {"service": {"dtype": "<u2", "values": [1]}, "source": [], "target": [], "share": [0.5]}
    made = compose(json.dumps(shares), Schedule)
    assert (made.service.dtype, made.service.numpy().tolist(), made.share.dtype) == ("<u2", [1], "<f8")


def test_records_within_records_are_composed() -> None:
    text = '{"number": 3, "members": [{"node": "/edge/0", "instance": 9}, ["/edge/1", 10]]}'
    assert compose(text, Roster) == ROSTER


@pytest.mark.parametrize(
    ("text", "message_type", "said"),
    [
        ("{", Shutdown, "not JSON"),
        ("3", Shutdown, "Shutdown: must be an object with reason, code"),
        ("", Shutdown, "Shutdown: reason missing"),
        ('{"reasn": "x"}', Shutdown, "no field reasn; did you mean reason"),
        ('{"reason": 3}', Shutdown, "Shutdown.reason: Expected `str`"),
        ('{"tasks": "many"}', Arrivals, "Arrivals.tasks: no array of <f8"),
        ('{"number": 3, "members": [{"node": "/x"}]}', Roster, r"Roster.members\[0\]: instance missing"),
        ('{"process": "x", "links": [], "counters": {"a": "b"}}', LinkReport, "LinkReport.counters"),
    ],
)
def test_what_is_no_such_message_names_the_field(text: str, message_type: Any, said: str) -> None:
    with pytest.raises(click.ClickException, match=said):
        compose(text, message_type)


class Point(Message, frozen=True):
    x: float
    y: float = 0.5


class Path(Message, frozen=True):
    name: str
    points: tuple[Point, ...] = ()
    weights: Array | None = None


def test_a_type_that_only_the_registry_knows_is_composed_like_ours() -> None:
    made = compose('{"name": "p", "points": [{"x": 1}], "weights": [2, 3]}', message_class(describe_type(Path)))
    assert encode_payload(made) == encode_payload(Path("p", (Point(1.0),), Array.of(np.array([2.0, 3.0]))))
    for text, said in [
        ("{}", "Path: name missing"),
        ('{"name": "p", "points": [{"x": "one"}]}', r"Path.points\[0\].x"),
        ('{"name": "p", "nome": 1}', "no field nome; did you mean name"),
    ]:
        with pytest.raises(click.ClickException, match=said):
            compose(text, message_class(describe_type(Path)))
