"""An emulated link as its subscriber measures it, held against what it was told to be."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from bus.link_channel import NS, Fate, latency_moments
from bus.messages import LinkFigures, LinkShape

SIGMAS: Final = 3.0
RATE_SHARE: Final = 0.03
LEAST_FOR_DEVIATION: Final = 30


class Figures:
    """Counts of one link since its shape was set. Times are what passed on the clock that messages were held by."""

    __slots__ = (
        "blocked",
        "delay_s",
        "delays",
        "down",
        "duplicated",
        "late",
        "lost",
        "messages",
        "reordered",
        "resolution_s",
        "sent_bits",
        "sent_s",
        "shape",
        "source",
        "squares_s2",
        "target",
    )  # fmt: skip

    def __init__(self, source: str, target: str, shape: LinkShape, down: bool, resolution_s: float) -> None:
        """Count from nothing; resolution_s is how exactly the clock's timers can hold a message."""
        self.source = source
        self.target = target
        self.shape = shape
        self.down = down
        self.resolution_s = resolution_s
        self.messages = self.lost = self.blocked = self.late = self.duplicated = self.reordered = 0
        self.delays = 0
        self.delay_s = 0.0  # mean, without the wait for the queue
        self.squares_s2 = 0.0  # sum of the squared distances from the mean
        self.sent_bits = self.sent_s = 0.0

    def count(self, fate: Fate) -> None:
        """A message came to the link."""
        self.messages += 1
        self.lost += fate.lost and not fate.blocked
        self.blocked += fate.blocked
        self.duplicated += len(fate.due_ns) > 1
        self.reordered += fate.overtakes

    def handed_over(self, fate: Fate, at_ns: int, size_bytes: int) -> None:
        """A message left the link at a time."""
        delay_s = (at_ns - fate.sent_ns) / NS
        self.delays += 1
        away_s = delay_s - self.delay_s
        self.delay_s += away_s / self.delays
        self.squares_s2 += away_s * (delay_s - self.delay_s)
        if self.shape.rate_bps > 0.0:
            self.sent_bits += 8.0 * size_bytes
            self.sent_s += (at_ns - fate.start_ns - (fate.due_ns[0] - fate.sent_ns)) / NS

    @property
    def delay_variance_s2(self) -> float:
        """Variance of the delay."""
        return self.squares_s2 / (self.delays - 1) if self.delays > 1 else 0.0

    @property
    def rate_bps(self) -> float:
        """Bits through the queue by the time they took; 0 before any did."""
        return self.sent_bits / self.sent_s if self.sent_s > 0.0 else 0.0

    def message(self) -> LinkFigures:
        """All of it, for tools."""
        return LinkFigures(
            self.source, self.target, self.shape, self.down, self.messages, self.lost, self.blocked, self.late,
            self.duplicated, self.reordered, self.delay_s, math.sqrt(self.delay_variance_s2), self.rate_bps,
            tuple(self.outside()),
        )  # fmt: skip

    def outside(self) -> Iterator[str]:
        """What lies farther from what was asked for than chance explains (three standard deviations)."""
        tried = self.messages - self.blocked
        passed = tried - self.lost
        for name, count, of, wanted in (
            ("loss", self.lost, tried, self.shape.loss),
            ("duplicate", self.duplicated, passed, self.shape.duplicate),
            ("reorder", self.reordered, passed, self.shape.reorder),
        ):
            allowed = SIGMAS * math.sqrt(max(0.0, of * wanted * (1.0 - wanted))) + 0.5
            if abs(count - of * wanted) > allowed:
                yield f"{name} {count / of:.3g} of {of} messages, set to {wanted:.3g} (+- {allowed / of:.2g})"
        yield from self._delay_outside()
        rate_bps = self.shape.rate_bps
        if self.sent_s > 0.0 and abs(self.sent_s - self.sent_bits / rate_bps) > (
            RATE_SHARE * self.sent_s + self.delays * self.resolution_s
        ):
            yield f"rate {self.rate_bps:.4g} bit/s, set to {rate_bps:.4g} (+- {RATE_SHARE:.0%})"

    def _delay_outside(self) -> Iterator[str]:
        if not self.delays:
            return
        mean, variance, fourth = latency_moments(self.shape)
        allowed = SIGMAS * math.sqrt(variance / self.delays) + self.resolution_s + 2.0 / NS
        if abs(self.delay_s - mean) > allowed:
            yield f"delay {self.delay_s:.4g} s over {self.delays} messages, set to {mean:.4g} (+- {allowed:.2g})"
        if self.delays < LEAST_FOR_DEVIATION:
            return
        allowed = SIGMAS * math.sqrt(max(0.0, fourth - variance * variance) / self.delays) + self.resolution_s**2
        allowed += 2.0 * self.resolution_s * math.sqrt(variance) + 1e-15
        if abs(self.delay_variance_s2 - variance) > allowed:
            found, wanted = math.sqrt(self.delay_variance_s2), math.sqrt(variance)
            yield f"delay deviates by {found:.4g} s over {self.delays} messages, set to {wanted:.4g}"
