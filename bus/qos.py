"""What a publisher promises and a subscriber asks of a topic; docs/qos.md says what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple


class Offer(NamedTuple):
    """The part of a publisher's QoS that a subscriber may ask for; 0 seconds stand for no promise."""

    reliable: bool
    transient_local: bool
    deadline_s: float = 0.0
    lease_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Qos:
    """Quality of service of one topic.

    reliability: reliable repairs gaps from the publisher's history, best_effort only counts them.
    durability: transient_local gives a late joiner the last ``depth`` messages, volatile none.
    depth: of best effort also how many messages a slow subscriber gets: the newest.
    history: messages that a publisher keeps for repairs; loss beyond it is reported, never silent. It is apart from
    ``depth`` so that a latch of one can still repair a burst.
    keep: last never waits for anybody; all (reliable only) sends no more than ``history`` messages ahead of the slowest
    subscriber that keeps all, too. when_full: what ``publish`` does then; block waits for at most ``block_s``.
    deadline_s: a message is promised, or expected, at least so often. lifespan_s: older ones are dropped at delivery.
    lease_s: a publisher gives a sign of life at least so often. 0: none of it.
    """

    reliability: Literal["reliable", "best_effort"] = "reliable"
    durability: Literal["volatile", "transient_local"] = "volatile"
    depth: int = 1
    history: int = 64
    keep: Literal["last", "all"] = "last"
    when_full: Literal["block", "raise", "drop_oldest"] = "block"
    block_s: float = 1.0
    deadline_s: float = 0.0
    lifespan_s: float = 0.0
    lease_s: float = 0.0

    def __post_init__(self) -> None:
        if self.depth < 1 or self.history < self.depth:
            raise ValueError(f"depth {self.depth} and history {self.history}: need 1 <= depth <= history")
        if self.keep == "all" and not self.reliable:
            raise ValueError('keep "all" needs reliability "reliable"; best effort keeps the last')
        for name in ("block_s", "deadline_s", "lifespan_s", "lease_s"):
            if not 0.0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}, must be 0 (none) or a number of seconds")

    @property
    def reliable(self) -> bool:
        """Whether gaps are repaired."""
        return self.reliability == "reliable"

    @property
    def latched(self) -> bool:
        """Whether late joiners get the last messages."""
        return self.durability == "transient_local"

    @property
    def keeps_all(self) -> bool:
        """Whether nothing may be lost, at the price of waiting."""
        return self.keep == "all"

    @property
    def offer(self) -> Offer:
        """What a publisher with this QoS promises, and a subscriber asks for."""
        return Offer(self.reliable, self.latched, self.deadline_s, self.lease_s)

    def missing_in(self, offer: Offer) -> tuple[str, str] | None:
        """What this subscriber asks and an offer lacks, as (asked, offered); None when the offer does."""
        return missing(self.offer, offer)


def missing(asked: Offer, offered: Offer) -> tuple[str, str] | None:
    """The first that is asked and not offered, as (asked, offered)."""
    if asked.reliable and not offered.reliable:
        return "reliable", "best_effort"
    if asked.transient_local and not offered.transient_local:
        return "transient_local", "volatile"
    for what, asked_s, offered_s in (
        ("deadline", asked.deadline_s, offered.deadline_s),
        ("lease", asked.lease_s, offered.lease_s),
    ):
        if asked_s and not 0.0 < offered_s <= asked_s:
            return f"{what} {asked_s:g} s", f"{what} {offered_s:g} s" if offered_s else f"no {what}"
    return None


RELIABLE = Qos()
LATCHED = Qos(durability="transient_local")
PAIRWISE = Qos(history=16)  # topics of which there are as many as pairs of edge servers
ROUNDS = Qos(history=256)  # many messages a slot, one of each round
BEST_EFFORT = Qos("best_effort", depth=64)
KEEP_ALL = Qos(keep="all", history=1024)
STREAM = Qos("best_effort", depth=1024, history=1024)  # never repaired, but whoever reads in bursts misses nothing
