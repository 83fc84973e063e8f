"""What a slot that counts leaves behind: the ledger's rows, its part of the digest, its times."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple, Protocol

from bus.digest import Entry, RunDigest
from bus.messages import Done
from bus.slots import Now
from emulator.folder import Writer

DECISION_FIELDS: Final = ("slot", "edge", "decision_s")


class Standing(NamedTuple):
    """How a run stands, whatever its world.

    Attributes:
        delay_s: Mean delay of the tasks that were completed.
        all_cloud_delay_s: The same, had all of them gone to the cloud.
        reward: So far; seconds in the offloading world, money in the rental world.
        tasks: By where they ended.
    """

    delay_s: float
    all_cloud_delay_s: float
    reward: float
    tasks: dict[str, float]


class Totals(Protocol):
    """What a run adds up to."""

    def facts(self) -> dict[str, Any]:
        """The world's part of ``summary.json``."""
        ...


class Closing(Protocol):
    """What is known of a slot when it is closed."""

    @property
    def now(self) -> Now:
        """Which."""
        ...


class Ledger(Protocol):
    """The books of one world: waits for how a slot ends, and writes it down when it counts."""

    on_complete: Callable[[], None]
    complete: bool
    late: int
    refused: int

    @property
    def totals(self) -> Totals:
        """What the run adds up to."""
        ...

    def standing(self) -> Standing:
        """How the run stands."""
        ...

    def begin_again(self, seed: int) -> None:
        """Open new books, at slot 0, of a run with this seed."""
        ...

    def start(self, now: Now, left_s: Callable[[float], float | None]) -> None:
        """Wait for how a slot ends."""
        ...

    def ended(self) -> Any:
        """What is known of the slot (``Closing``); to be taken before the next one starts."""
        ...

    def close(self, ended: Any) -> list[Entry]:
        """Write a slot down; returns what of it belongs to the digest beyond what nodes said."""
        ...

    def end(self) -> None:
        """Write down what is only known at the end."""
        ...

    def refusals(self, ended: Any) -> dict[int, str]:
        """Why an edge server refused its agent's decision of that slot, by edge server; empty where it did not."""
        ...

    def ends_frame(self, now: Now) -> bool:
        """Whether agents must know of the slot before the next begins."""
        ...


class Books:
    """Writes slots down in their order. A slot of which a crash leaves no row did not count."""

    def __init__(self, ledger: Ledger, writer: Writer) -> None:
        self._ledger = ledger
        self._writer = writer
        self._forget()

    def _forget(self) -> None:
        self.counted = 0
        """Slots that are written down."""
        self.digest = RunDigest()
        self.decisions: list[tuple[int, int, float]] = []
        """Slot, edge server and seconds of each good decision."""

    @property
    def delay_s(self) -> float:
        """Mean delay of the tasks that were completed."""
        return self._ledger.standing().delay_s

    def begin_again(self, seed: int) -> None:
        """Open new books, at slot 0, of a run with this seed, and empty the tables.

        Raises: RunFolderError: a table cannot be written.
        """
        self._forget()
        self._ledger.begin_again(seed)
        self._writer.begin_again()

    def close(self, ended: Closing, done: Iterable[Done], swapped: Iterable[Entry] = ()) -> None:
        """Write a slot down; at a frame's end, tell the reward.

        Args:
            ended: Of the ledger.
            done: What the processes say of the slot.
            swapped: What the digest covers of swaps of agents that hold from this slot on.
        Raises: Broken: tasks were lost or ended twice. RunFolderError: a table cannot be written.
        """
        entries: list[Entry] = [*self._ledger.close(ended), *(entry for each in done for entry in each.digests)]
        entries += swapped
        self.digest.commit(ended.now.slot, entries)
        self.counted = ended.now.slot + 1

    def time(self, slot: int, attempts: int, wall_s: float, done: Iterable[Done]) -> None:
        """Write down how long a slot took, from its tick to the next, and what the processes say of their work.

        Raises: RunFolderError: the table cannot be written.
        """
        schedule_s = slowest_s = 0.0
        for each in done:
            for stage, seconds in each.timings.items():
                if stage.startswith("decision_s"):
                    self.decisions.append((slot, int(stage.rpartition("/")[2]), seconds))
                    slowest_s = max(slowest_s, seconds)
                elif stage == "schedule_s":
                    schedule_s = seconds
        self._writer.timing((slot, attempts, wall_s, schedule_s, slowest_s))

    def end(self, counters: Mapping[str, float], late_slots: int, **facts: Any) -> None:
        """Write down what the run came to.

        Args:
            counters: Of all processes, by name.
            late_slots: Slots of the wall clock that were closed before everyone was done.
            facts: More to write.
        Raises: RunFolderError: it cannot be written.
        """
        ledger = self._ledger
        ledger.end()
        document = {
            **ledger.totals.facts(),
            "digest": self.digest.hex(),
            "late": ledger.late + int(counters.get("decisions_refused{late}", 0.0)),
            "late_slots": late_slots,
            "refused": ledger.refused,
            "missed": int(counters.get("decisions_missed", 0.0)),
            "decision_s": sorted(seconds for *_, seconds in self.decisions),
            "counters": dict(sorted(counters.items())),
            **facts,
        }
        self._writer.json("ledger.json", document)
        if "swaps" in facts:  # who decides has changed in the run, so that one must know when each decision was
            self._writer.rows("decisions.csv", DECISION_FIELDS, self.decisions)
