"""Emulated links, one effect at a time: each against what it was told to be."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bus.link_channel import NS, Channel, Fate, draw_of, latency_moments
from bus.link_figures import Figures
from bus.link_table import LinkTable, source_of
from bus.messages import LinkRule, LinkShape

SLOT_NS = 60 * NS
MANY = 20_000


def channel(shape: LinkShape, seed: int = 1, topic: str = "/edge/1/offload/2", *, down: bool = False) -> Channel:
    return Channel(shape, draw_of(seed, "/edge/1", "/edge/2", topic), down=down)


def fates(shape: LinkShape, count: int = MANY, size: int = 100, seed: int = 1) -> list[Fate]:
    link = channel(shape, seed)
    return [link.carry(slot, 0, 0, (1, slot), slot * SLOT_NS, slot * SLOT_NS, size) for slot in range(count)]


def measured(shape: LinkShape, told: LinkShape | None = None, count: int = MANY) -> Figures:
    """Figures of a link that is told to be ``told`` and is ``shape``."""
    figures = Figures("/edge/1", "/edge/2", told or shape, False, 0.0)
    for fate in fates(shape, count):
        figures.count(fate)
        if not fate.lost:
            figures.handed_over(fate, fate.due_ns[0], 100)
    return figures


SHAPES: dict[str, LinkShape] = {
    "constant": LinkShape(latency_s=0.05),
    "normal": LinkShape(latency_s=0.05, jitter_s=0.01),
    "normal cut off at 0": LinkShape(latency_s=0.01, jitter_s=0.02),
    "trace": LinkShape(trace_s=(0.01, 0.02, 0.02, 0.4)),
    "rate": LinkShape(rate_bps=1e4),
    "loss": LinkShape(loss=0.1),
    "rare loss": LinkShape(loss=0.001),
    "duplicate": LinkShape(duplicate=0.2),
    "reorder": LinkShape(latency_s=0.05, reorder=0.25),
    "all": LinkShape(latency_s=0.05, jitter_s=0.01, rate_bps=1e5, loss=0.1, duplicate=0.05, reorder=0.1),
}


@pytest.mark.parametrize("name", SHAPES)
def test_each_effect_is_within_its_tolerance(name: str) -> None:
    found = measured(SHAPES[name])
    assert list(found.outside()) == []


@pytest.mark.parametrize("name", SHAPES)
def test_a_link_that_is_not_what_it_was_told_to_be_says_so(name: str) -> None:
    shape = SHAPES[name]
    for field in ("latency_s", "loss", "duplicate", "reorder", "rate_bps"):
        value = getattr(shape, field)
        if value:
            told: Any = {field: value * 3.0}
            assert list(measured(shape, LinkShape(**{**as_dict(shape), **told})).outside()), field
    assert list(measured(shape).outside()) == []


def as_dict(shape: LinkShape) -> dict[str, Any]:
    return {field: getattr(shape, field) for field in shape.__struct_fields__}


def test_loss_and_delay_have_the_figures_asked_for() -> None:
    found = measured(SHAPES["all"])
    assert found.lost / MANY == pytest.approx(0.1, abs=3 * math.sqrt(0.09 / MANY))
    mean, variance, _ = latency_moments(SHAPES["all"])
    assert mean == pytest.approx(0.9 * 0.05, rel=1e-3)
    assert found.delay_s == pytest.approx(mean, abs=3 * math.sqrt(variance / found.delays))
    assert found.rate_bps == pytest.approx(1e5, rel=1e-6)


def test_a_queue_sends_one_message_after_the_other() -> None:
    link = channel(LinkShape(rate_bps=8e3, latency_s=1.0))
    got = [link.carry(0, 0, 0, (1, n), 0, 0, 1000) for n in range(3)]
    assert [fate.sent_ns for fate in got] == [NS, 2 * NS, 3 * NS]
    assert [fate.due_ns for fate in got] == [(2 * NS,), (3 * NS,), (4 * NS,)]
    after = link.carry(1, 0, 0, (1, 9), 2 * NS, 2 * NS, 1000)
    assert after.start_ns == 3 * NS, "what is left of a slot delays the next one"


def test_an_attempt_that_is_repeated_finds_the_same_link() -> None:
    link = channel(LinkShape(rate_bps=8e3, latency_s=1.0, jitter_s=0.3, loss=0.3, duplicate=0.3))
    first = [link.carry(4, 0, 0, (1, n), 4 * SLOT_NS, 4 * SLOT_NS, 1000) for n in range(40)]
    again = [link.carry(4, 1, 0, (7, n), 4 * SLOT_NS, 4 * SLOT_NS, 1000) for n in range(40)]
    assert first == again
    assert len(set(first)) > 30


def test_the_same_message_asked_about_twice_counts_once() -> None:
    link = channel(LinkShape(rate_bps=8e3))
    assert link.carry(0, 0, 0, (1, 1), 0, 0, 1000) == link.carry(0, 0, 0, (1, 1), 0, 0, 1000)
    assert link.knows(0, 0, (1, 1))
    assert not link.knows(0, 0, (1, 2))


def test_what_came_before_does_not_change_a_fate() -> None:
    shape = LinkShape(latency_s=1.0, jitter_s=0.3, loss=0.3)
    late = channel(shape)
    whole = fates(shape, 50)
    assert [late.carry(slot, 0, 0, (1, slot), slot * SLOT_NS, slot * SLOT_NS, 9) for slot in range(40, 50)] == whole[
        40:
    ]


def test_topics_directions_and_seeds_have_draws_of_their_own() -> None:
    shape = LinkShape(loss=0.5)
    seen = set()
    for seed, source, target, topic in (
        (1, "/a", "/b", "/t"), (2, "/a", "/b", "/t"), (1, "/b", "/a", "/t"), (1, "/a", "/b", "/u"),
    ):  # fmt: skip
        link = Channel(shape, draw_of(seed, source, target, topic))
        seen.add(tuple(link.carry(slot, 0, 0, (1, slot), 0, 0, 9).lost for slot in range(64)))
    assert len(seen) == 4


def test_a_cut_link_lets_nothing_pass_in_its_slots() -> None:
    blocked = [fate.blocked for fate in fates(LinkShape(cut=((3, 5), (8, 9))), 10)]
    assert blocked == [slot in (3, 4, 8) for slot in range(10)]
    assert all(channel(LinkShape(), down=True).carry(0, 0, 0, (1, n), 0, 0, 9).blocked for n in range(9))


def test_a_flapping_link_is_up_for_its_share_of_each_period() -> None:
    shape = LinkShape(flap_period_s=4 * 60.0, flap_up_share=0.75)
    assert [fate.blocked for fate in fates(shape, 8)] == 2 * [False, False, False, True]


def test_blocked_messages_are_no_chance_and_break_no_tolerance() -> None:
    found = measured(LinkShape(loss=0.1, cut=((0, MANY // 2),)))
    assert found.blocked == MANY // 2
    assert list(found.outside()) == []


def test_the_last_rule_that_fits_wins_and_directions_are_apart() -> None:
    slow, lossy = LinkShape(latency_s=1.0), LinkShape(loss=0.5)
    rules = [LinkRule("set", "edge/*", "cloud", slow), LinkRule("set", "/edge/1", "site", lossy)]
    table = LinkTable(rules, {"site": ("cloud", "edge/[0-4]")})
    assert table.find("/edge/0", "/cloud") == (slow, False)
    assert table.find("/edge/1", "/cloud") == (lossy, False)
    assert table.find("/edge/1", "/edge/0") == (lossy, False)
    assert table.find("/edge/1", "/edge/1") is None
    assert table.find("/cloud", "/edge/1") is None


def test_cut_takes_links_down_and_heal_brings_them_up_whoever_cut_them() -> None:
    shape = LinkShape(loss=0.5, cut=((0, 9),))
    cut, heal = LinkRule("cut", "edge/1", "*"), LinkRule("heal", "edge/1", "*")
    rules = [LinkRule("set", "edge/*", "cloud", shape)]
    assert LinkTable([*rules, cut]).find("/edge/1", "/cloud") == (shape, True)
    assert LinkTable([*rules, cut]).find("/edge/1", "/agent/1") == (LinkShape(), True)
    assert LinkTable([*rules, cut, heal]).find("/edge/1", "/cloud") == (LinkShape(loss=0.5), False)
    assert LinkTable([*rules, cut, heal]).find("/edge/1", "/agent/1") is None


def test_the_books_and_the_clock_pass_no_link() -> None:
    table = LinkTable([LinkRule("set", "*", "*", LinkShape(loss=1.0))])
    assert table.find("/edge/1", "/ledger") is None
    assert table.find("/hub", "/edge/1") is None
    assert table.find("/edge/1", "/agent/1") is not None


@pytest.mark.parametrize(
    ("topic", "node"),
    [
        ("/edge/3/outcome", "/edge/3"),
        ("/cloud/completed/cell/7", "/cloud"),
        ("/scheduler/schedule", "/scheduler"),
        ("/cell/12/offload/cloud", "/cell/12"),
    ],
)
def test_a_topic_begins_with_its_node(topic: str, node: str) -> None:
    assert source_of(topic) == node
