"""What a slot that counts leaves behind: the ledger's rows, its part of the digest, its times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bus.digest import Entry, RunDigest
from bus.messages import Done
from emulator import records
from emulator.folder import Writer
from emulator.nodes.ledger import Ended, LedgerNode


class Books:
    """Writes slots down in their order. A slot of which a crash leaves no row did not count."""

    def __init__(self, ledger: LedgerNode, writer: Writer) -> None:
        self._ledger = ledger
        self._writer = writer
        self._forget()

    def _forget(self) -> None:
        self.counted = 0
        """Slots that are written down."""
        self.digest = RunDigest()
        self.decision_s: list[float] = []

    @property
    def delay_s(self) -> float:
        """Mean delay of the tasks that were completed."""
        totals = self._ledger.totals
        return totals.cost_s / totals.completed if totals.completed else 0.0

    def begin_again(self) -> None:
        """Open new books, at slot 0, and empty the tables.

        Raises: RunFolderError: a table cannot be written.
        """
        self._forget()
        self._ledger.begin_again()
        self._writer.begin_again()

    def close(self, ended: Ended, done: Iterable[Done]) -> None:
        """Write a slot down; at a frame's end, tell the reward.

        Raises: Broken: tasks were lost or ended twice. RunFolderError: a table cannot be written.
        """
        now = ended.now
        _row, frame = self._ledger.commit(ended)
        entries: list[Entry] = [entry for each in done for entry in each.digests]
        if frame is not None:
            reward = records.frame_reward(frame)
            self._ledger.reward.publish(reward, slot=now.slot, attempt=now.attempt)
            entries.append(records.digest_entry(self._ledger.reward.topic, reward))
        self.digest.commit(now.slot, entries)
        self.counted = now.slot + 1

    def time(self, slot: int, attempts: int, wall_s: float, done: Iterable[Done]) -> None:
        """Write down how long a slot took, from its tick to the next, and what the processes say of their work.

        Raises: RunFolderError: the table cannot be written.
        """
        schedule_s = slowest_s = 0.0
        for each in done:
            for stage, seconds in each.timings.items():
                if stage.startswith("decision_s"):
                    self.decision_s.append(seconds)
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
        document = {
            **ledger.totals.facts(),
            "digest": self.digest.hex(),
            "late": ledger.late + int(counters.get("decisions_refused{late}", 0.0)),
            "late_slots": late_slots,
            "refused": ledger.refused,
            "missed": int(counters.get("decisions_missed", 0.0)),
            "decision_s": sorted(self.decision_s),
            "counters": dict(sorted(counters.items())),
            **facts,
        }
        self._writer.json("ledger.json", document)
