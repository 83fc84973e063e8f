"""What a publisher promises and a subscriber asks of a topic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Qos:
    """Quality of service of one topic.

    reliability: reliable repairs gaps from the publisher's history, best_effort only counts them.
    durability: transient_local gives a late joiner the last ``depth`` messages, volatile none.
    history: messages that a publisher keeps for repairs; loss beyond it is reported, never silent. It is apart from
    ``depth`` so that a latch of one can still repair a burst.
    """

    reliability: Literal["reliable", "best_effort"] = "reliable"
    durability: Literal["volatile", "transient_local"] = "volatile"
    depth: int = 1
    history: int = 64

    def __post_init__(self) -> None:
        if self.depth < 1 or self.history < self.depth:
            raise ValueError(f"depth {self.depth} and history {self.history}: need 1 <= depth <= history")

    @property
    def reliable(self) -> bool:
        """Whether gaps are repaired."""
        return self.reliability == "reliable"

    @property
    def latched(self) -> bool:
        """Whether late joiners get the last messages."""
        return self.durability == "transient_local"

    def missing_in(self, reliable: bool, transient_local: bool) -> tuple[str, str] | None:
        """What this subscriber asks and an offer lacks, as (asked, offered); None when the offer does."""
        if self.reliable and not reliable:
            return "reliable", "best_effort"
        if self.latched and not transient_local:
            return "transient_local", "volatile"
        return None


RELIABLE = Qos()
LATCHED = Qos(durability="transient_local")
PAIRWISE = Qos(history=16)  # topics of which there are as many as pairs of edge servers
BEST_EFFORT = Qos("best_effort")
