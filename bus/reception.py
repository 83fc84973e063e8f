"""What a subscription knows of its publishers, and what it needs of its process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bus.errors import BusError
from bus.events import Events
from bus.framing import Framing
from bus.timers import Timer
from bus.upstream import Word

FIRST_RETRY_S: Final = 0.03  # a repair is lost only with its link; behind a full queue it takes its time
LAST_RETRY_S: Final = 0.2


class Link:
    """What a subscription knows of one publisher instance. expected is 0 until the end of history has come."""

    __slots__ = (
        "acknowledged",
        "asked_s",
        "beats",
        "early",
        "expected",
        "gone",
        "highest",
        "instance",
        "owes",
        "retry",
        "retry_from",
        "retry_s",
        "retry_to",
        "round_trip_s",
        "silent",
    )

    def __init__(self, instance: int) -> None:
        self.instance = instance
        self.expected = 0
        self.highest = 0  # the last sequence known to exist
        self.gone = 0  # up to here the publisher has said that it holds nothing
        self.early: dict[int, tuple[bytes, int, tuple[int, ...]]] = {}
        self.retry: Timer | None = None
        self.retry_s = FIRST_RETRY_S
        self.retry_from = 0  # expected and highest when the retry was set
        self.retry_to = 0
        self.asked_s = 0.0  # when something was asked for that has not come; 0: nothing
        self.round_trip_s = 0.0  # from asking to the answer, lately
        self.owes = False  # whether the publisher waits for acknowledgements
        self.acknowledged = 0
        self.beats = 0  # heartbeats that came
        self.silent = False  # no sign of life for longer than its lease

    @property
    def first_retry_s(self) -> float:
        """How long an answer may take: behind a full queue, longer than on an idle link."""
        return min(LAST_RETRY_S, max(FIRST_RETRY_S, 2.0 * self.round_trip_s))


class Hooks:
    """What a subscription needs of its process."""

    def __init__(
        self,
        admits: Callable[[int], bool],
        say: Callable[[Word], None],
        own_instance: Callable[[], int],
        clock: Callable[[], float],
        age_s: Callable[[tuple[int, ...]], float],
        later: Callable[..., None],
        after: Callable[[float, Callable[[], None]], Timer],
        on_change: Callable[[], None],
        on_loss: Callable[[str, int, int], None],
        on_refused: Callable[[BusError], None],
        events: Events,
        drop: Callable[[str, int], bool] | None,
        framing: Framing,
    ) -> None:
        self.admits = admits
        self.say = say
        self.own_instance = own_instance
        self.clock = clock
        self.age_s = age_s  # of a message, from its header's fields
        self.later = later
        self.after = after
        self.on_change = on_change
        self.on_loss = on_loss
        self.on_refused = on_refused
        self.events = events
        self.drop = drop
        self.framing = framing
