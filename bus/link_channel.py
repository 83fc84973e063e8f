"""One topic of one emulated link: what becomes of each message. Pure: time and message come as arguments.

Every message has its own eight uniforms, a keyed hash of (slot, round, ordinal): a counter-based draw like those of the
world's streams. So the fate of a message depends neither on what came before it nor on who shares a process with whom,
and an attempt that is repeated finds the same link.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Callable
from typing import Final, NamedTuple

from bus.codec import HEADER_BYTES
from bus.messages import LinkShape

Draw = Callable[[int, int, int], tuple[float, ...]]
"""Slot, round and ordinal to eight uniforms in [0, 1)."""

LOST: Final = "link"
NS: Final = 1_000_000_000

_COUNTER: Final = struct.Struct("<QBQ")
_WORDS: Final = struct.Struct("<8Q")
_LOSS, _RADIUS, _ANGLE, _TWICE, _RADIUS_2, _ANGLE_2, _ORDER = range(7)


class Fate(NamedTuple):
    """What a link does to one message, nanoseconds.

    Attributes:
        lost: It does not arrive.
        blocked: Because the link is down, not by chance.
        start_ns: When the queue begins with it.
        sent_ns: When its last bit is on the way.
        due_ns: When each copy arrives; one, unless it is duplicated.
        overtakes: Whether it took no latency.
    """

    lost: bool
    blocked: bool
    start_ns: int
    sent_ns: int
    due_ns: tuple[int, ...]
    overtakes: bool


def draw_of(seed: int, source: str, target: str, topic: str) -> Draw:
    """The uniforms of one topic of one link."""
    key = hashlib.blake2b(f"{seed}|{source}|{target}|{topic}|link".encode(), digest_size=32).digest()

    def draw(slot: int, round_: int, ordinal: int) -> tuple[float, ...]:
        words = hashlib.blake2b(_COUNTER.pack(slot, round_, ordinal), digest_size=64, key=key).digest()
        return tuple((word >> 11) * 2.0**-53 for word in _WORDS.unpack(words))

    return draw


def frame_bytes(topic: str, payload_bytes: int) -> int:
    """What a message weighs on an emulated link: its frame, without what TCP and ZeroMQ add."""
    return len(topic) + 1 + HEADER_BYTES + payload_bytes


class Channel:
    """A topic of a link, in the order of slots. Within a slot it may be asked again, by a later attempt."""

    def __init__(self, shape: LinkShape, draw: Draw, *, down: bool = False) -> None:
        self.shape = shape
        self.down = down
        self._draw = draw
        self._place = (-1, 0)
        self._fates: dict[tuple[int, int], Fate] = {}
        self._ordinals: dict[int, int] = {}
        self._free_ns = 0  # when the queue has sent what it holds
        self._free_before_ns = 0  # the same at the end of the slot before

    def carry(
        self, slot: int, attempt: int, round_: int, name: tuple[int, int], time_ns: int, sent_ns: int, size_bytes: int
    ) -> Fate:
        """What becomes of a message; asked again about the same one, it answers the same.

        Args:
            slot, attempt, round_: Of the message.
            name: What tells it from others of its slot: publisher instance and sequence.
            time_ns: Its simulated time, which says whether the link flaps.
            sent_ns: When it comes to the queue, on the clock that the queue goes by.
            size_bytes: What it weighs.
        """
        if (slot, attempt) != self._place:
            self._turn(slot, attempt)
        fate = self._fates.get(name)
        if fate is None:
            ordinal = self._ordinals.get(round_, 0)
            self._ordinals[round_] = ordinal + 1
            fate = self._fates[name] = self._pass(slot, self._draw(slot, round_, ordinal), time_ns, sent_ns, size_bytes)
        return fate

    def knows(self, slot: int, attempt: int, name: tuple[int, int]) -> bool:
        """Whether ``carry`` was asked about that message."""
        return (slot, attempt) == self._place and name in self._fates

    def _turn(self, slot: int, attempt: int) -> None:
        if slot != self._place[0]:
            self._free_before_ns = self._free_ns if slot > self._place[0] else 0
        self._free_ns = self._free_before_ns
        self._place = (slot, attempt)
        self._fates, self._ordinals = {}, {}

    def _pass(self, slot: int, draws: tuple[float, ...], time_ns: int, sent_ns: int, size_bytes: int) -> Fate:
        shape = self.shape
        if self.down or is_blocked(shape, slot, time_ns):
            return Fate(True, True, sent_ns, sent_ns, (), False)
        start_ns = gone_ns = sent_ns
        if shape.rate_bps > 0.0:
            start_ns = max(sent_ns, self._free_ns)
            gone_ns = self._free_ns = start_ns + round(8.0 * size_bytes / shape.rate_bps * NS)
        if draws[_LOSS] < shape.loss:
            return Fate(True, False, start_ns, gone_ns, (), False)
        overtakes = draws[_ORDER] < shape.reorder
        due_ns = [gone_ns + (0 if overtakes else latency_ns(shape, draws[_RADIUS], draws[_ANGLE]))]
        if draws[_TWICE] < shape.duplicate:
            due_ns.append(gone_ns + latency_ns(shape, draws[_RADIUS_2], draws[_ANGLE_2]))
        return Fate(False, False, start_ns, gone_ns, tuple(due_ns), overtakes)


def is_blocked(shape: LinkShape, slot: int, time_ns: int) -> bool:
    """Whether a link lets nothing pass in a slot, at a simulated time."""
    if any(first <= slot < end for first, end in shape.cut):
        return True
    if shape.flap_period_s <= 0.0:
        return False
    period_ns = round(shape.flap_period_s * NS)
    return time_ns % period_ns >= shape.flap_up_share * period_ns


def latency_ns(shape: LinkShape, first: float, second: float) -> int:
    """A delay, from two uniforms: a sample of the trace, or normal and cut off at 0, or constant."""
    if shape.trace_s:
        return round(shape.trace_s[int(first * len(shape.trace_s))] * NS)
    latency_s = shape.latency_s
    if shape.jitter_s > 0.0:
        latency_s += shape.jitter_s * math.sqrt(-2.0 * math.log1p(-first)) * math.cos(2.0 * math.pi * second)
    return max(0, round(latency_s * NS))


def latency_moments(shape: LinkShape) -> tuple[float, float, float]:
    """Mean, variance and fourth central moment of the delay that a shape asks for, seconds."""
    if shape.trace_s:
        count = len(shape.trace_s)
        mean = math.fsum(shape.trace_s) / count
        spread = [(sample - mean) ** 2 for sample in shape.trace_s]
        square, fourth = math.fsum(spread) / count, math.fsum(s * s for s in spread) / count
    else:
        mean, square = _cut_off_normal(shape.latency_s, shape.jitter_s)
        fourth = 3.0 * square * square
    return _with_none(shape.reorder, mean, square, fourth)


def _cut_off_normal(mean: float, deviation: float) -> tuple[float, float]:
    """Mean and variance of max(0, normal)."""
    if deviation <= 0.0:
        return mean, 0.0
    at = mean / deviation
    above = 0.5 * math.erfc(-at / math.sqrt(2.0))
    density = math.exp(-0.5 * at * at) / math.sqrt(2.0 * math.pi)
    first = mean * above + deviation * density
    second = (mean * mean + deviation * deviation) * above + mean * deviation * density
    return first, max(0.0, second - first * first)


def _with_none(share: float, mean: float, square: float, fourth: float) -> tuple[float, float, float]:
    """The same moments when a share of the messages takes no latency at all (third moments are left out)."""
    if share <= 0.0:
        return mean, square, fourth
    rest = 1.0 - share
    mixed = rest * mean
    away = mean - mixed
    variance = rest * (square + away * away) + share * mixed * mixed
    return mixed, variance, rest * (fourth + 6.0 * square * away**2 + away**4) + share * mixed**4
