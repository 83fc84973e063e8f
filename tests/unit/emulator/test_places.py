"""Where a process listens, and when it is to be found there no more."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bus.process import Process
from emulator.errors import PlaceLost
from emulator.places import Place, place, watch


def test_names_are_taken_as_they_are_given() -> None:
    where = place("edge.example", "0.0.0.0", "")
    assert (where.host, where.bind) == ("edge.example", "0.0.0.0")
    assert where.topics_at == ("edge.example", "0.0.0.0")


def test_on_the_way_to_somebody_our_own_address_is_listened_on() -> None:
    where = place("to:localhost", "0.0.0.0", "other.example")
    assert where.host == where.bind == "127.0.0.1"
    assert where.topics_at == ("other.example", "0.0.0.0")
    assert where.lost() == ""


def test_who_is_not_on_that_network_is_told_so() -> None:
    with pytest.raises(PlaceLost, match=r"nobody\.invalid is not known here"):
        place("to:nobody.invalid", "0.0.0.0", "")


def moved() -> Place:
    return Place("10.0.0.7", "10.0.0.7", "10.0.0.7", "10.0.0.7", (("towards hub", "127.0.0.1", "10.0.0.7"),))


def test_an_address_that_is_ours_no_more_ends_the_process_after_a_while() -> None:
    looks: list[Callable[[], None]] = []
    watch(moved(), lambda _period_s, look: looks.append(look), patience_s=3.0)
    looks[0]()
    looks[0]()
    with pytest.raises(PlaceLost, match=r"towards hub was 10\.0\.0\.7, and is 127\.0\.0\.1"):
        looks[0]()


def test_an_address_that_comes_back_in_time_is_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Callable[[], None]] = []
    watch(moved(), lambda _period_s, look: looks.append(look), patience_s=3.0)
    looks[0]()
    looks[0]()
    monkeypatch.setattr("emulator.places._address_towards", lambda _target: "10.0.0.7")
    looks[0]()
    monkeypatch.undo()
    looks[0]()
    looks[0]()
    with pytest.raises(PlaceLost):
        looks[0]()


def test_who_is_nowhere_in_particular_is_not_watched() -> None:
    looks: list[Callable[[], None]] = []
    watch(place("127.0.0.1", "127.0.0.1", ""), lambda _period_s, look: looks.append(look), patience_s=3.0)
    assert looks == []


def test_what_is_published_and_what_is_called_have_their_own_addresses() -> None:
    process = Process("two", instance=1, topics_at=("127.0.0.2", "127.0.0.2"))
    try:
        assert process.endpoint.startswith("tcp://127.0.0.2:")
        assert process.call_endpoint.startswith("tcp://127.0.0.1:")
    finally:
        process.close()
