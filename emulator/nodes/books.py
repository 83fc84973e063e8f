"""What a slot that counts leaves behind: the ledger's rows, its part of the digest, its times."""

from __future__ import annotations

from collections.abc import Iterable

from bus.digest import Entry, RunDigest
from bus.messages import Done
from emulator import records
from emulator.folder import Writer
from emulator.nodes.ledger import Ended, LedgerNode


class Books:
    """Writes slots down in their order. A slot of which a crash leaves no row did not count."""

    def __init__(self, ledger: LedgerNode, writer: Writer) -> None:
        self.counted = 0
        """Slots that are written down."""
        self.digest = RunDigest()
        self.decision_s: list[float] = []
        self._ledger = ledger
        self._writer = writer

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
