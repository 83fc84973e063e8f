"""A slot that lasts too long: who holds it is found out, then asked again, then written down, then given up."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from bus.diagnosis import Inquiry, sentence
from bus.messages import ClockStatus, Failure, Holder, ProcessState, Query
from bus.node import Node
from bus.peers import answers_calls
from bus.process import Process, own_node
from bus.registry import Registry
from bus.slots import Now
from emulator.errors import RunStalled
from emulator.scenario import Deadlines, Scenario
from emulator.scenario_checks import descents

LOOK_S: Final = 0.1
"""How often the hub looks whether the slot takes too long, wall seconds."""

USUAL_SLOTS: Final = 16
PATIENCE: Final = 4.0
"""Times the usual length of a slot: where a slot takes seconds by its nature, nobody stalls."""

LOST: Final = 3
"""The exit code of a run that somebody was lost to."""

LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


SHORTEST_S: Final = 0.1
PARAMETERS: Final = {
    "stall_s": "wall seconds after which a slot takes too long, and who holds it is said",
    "ask_again_s": "wall seconds into a slot after which everyone is asked to send again",
    "dump_s": "wall seconds into a slot after which what is known of it is written down",
    "give_up_s": "wall seconds into a slot after which the run ends",
}


class StallWatch:
    """Goes through the stages of one slot after the other, in lockstep; wall-clock slots end by themselves."""

    def __init__(
        self,
        process: Process,
        registry: Registry,
        deadlines: Deadlines,
        unacknowledged: Callable[[], set[str]],
        note: Callable[[str], None],
        dump: Callable[[int], str],
        give_up: Callable[[int, str], None],
    ) -> None:
        """Watch.

        Args:
            process: The hub's.
            registry: Of its members.
            deadlines: Wall seconds into a slot of each stage.
            unacknowledged: Processes that have not done their part of the slot.
            note: Takes a sentence for the run's notes.
            dump: Writes down what is known of a stalled slot; returns where.
            give_up: Ends the run, with its exit code and the reason.
        """
        self.stage = ""
        self.holders: list[Holder] = []
        self._process = process
        self._registry = registry
        self._deadlines = deadlines
        self._unacknowledged = unacknowledged
        self._note = note
        self._dump = dump
        self._give_up = give_up
        self._slot = -1
        self._began_s = 0.0
        self._usual: deque[float] = deque(maxlen=USUAL_SLOTS)
        self._said: set[str] = set()
        self._asking = False

    def declare(self, node: Node) -> None:
        """Let the deadlines of the stages be set while the run goes on, as parameters of the hub."""
        for name, text in PARAMETERS.items():
            value = getattr(self._deadlines, name)
            node.parameter(name, value, minimum=SHORTEST_S, description=text, on_change=partial(self._set, name))
        node.parameters.require(_ascend)

    def _set(self, name: str, value: float) -> None:
        self._deadlines = msgspec.structs.replace(self._deadlines, **{name: value})

    def begin(self, slot: int) -> None:
        """A slot begins (again)."""
        now_s = self._process.clock()
        if slot != self._slot and self._slot >= 0:
            self._usual.append(now_s - self._began_s)
        self._slot, self._began_s = slot, now_s
        self.stage, self.holders, self._said = "", [], set()

    @property
    def age_s(self) -> float:
        """Wall seconds since the slot began."""
        return self._process.clock() - self._began_s if self._slot >= 0 else 0.0

    @property
    def patience_s(self) -> float:
        """Wall seconds after which a slot takes too long: the scenario's, or more where slots always do."""
        usual_s = sum(self._usual) / len(self._usual) if self._usual else 0.0
        return max(self._deadlines.stall_s, PATIENCE * usual_s)

    def look(self) -> None:
        """Go on to the stage that is due; call it every ``LOOK_S``."""
        age_s, deadlines = self.age_s, self._deadlines
        if age_s < self.patience_s or self._asking:
            return
        if age_s >= deadlines.give_up_s:
            self._give_up(LOST, str(RunStalled(self._slot, self.waiting())))
            return
        self._asking = True
        slot = self._slot
        Inquiry(self._process, self._registry, self._unacknowledged(), lambda found: self._found(slot, found))

    def _found(self, slot: int, found: list[Holder]) -> None:
        self._asking = False
        if slot != self._slot or self.age_s < self.patience_s:
            return  # it has gone on meanwhile
        self.holders = found
        for stage, due_s, act in (
            ("said", self.patience_s, self._say),
            ("asked again", self._deadlines.ask_again_s, self._ask_again),
            ("dumped", self._deadlines.dump_s, self._write_down),
        ):
            if self.age_s >= due_s and stage not in self._said:
                self._said.add(stage)
                self.stage = stage
                act()

    def waiting(self) -> list[str]:
        """Who holds the slot, as sentences; where the waiting ends, or everybody if that is not known."""
        causes = [holder for holder in self.holders if holder.cause]
        return [sentence(holder) for holder in causes or self.holders]

    def status(
        self, phase: str, scenario: Scenario, now: Now | None, unacknowledged: set[str], late_slots: int
    ) -> ClockStatus:
        """What ``edgerig clock status`` shows."""
        slot, frame, attempt = (now.slot, now.frame, now.attempt) if now is not None else (-1, 0, 0)
        missing, held = tuple(sorted(unacknowledged)), tuple(self.holders)
        return ClockStatus(
            phase, scenario.clock, slot, scenario.slots, frame, attempt,
            self.age_s, self.stage, missing, held, late_slots,
        )  # fmt: skip

    # -- stages --------------------------------------------------------------------------------------------------------

    def _say(self) -> None:
        self._note(f"slot {self._slot} stands since {self.age_s:.1f} s: {'; '.join(self.waiting()) or 'nobody known'}")

    def _ask_again(self) -> None:
        """Let everyone tell its last sequences, so that whatever was lost is asked for at once."""
        self._process.pubsub.tails.repeat()
        for peer in self._registry.peers():
            if peer.instance != self._process.instance and answers_calls(peer):
                asking = self._process.asking(peer.call_endpoint, peer.process)
                asking.ask(own_node(peer.process), "repeat", Query(), ProcessState, self._deadlines.stop_s, _ignore)
        self._note(f"slot {self._slot}: asked everyone again")

    def _write_down(self) -> None:
        asked = [peer.process for peer in self._registry.peers() if self._silent(peer.process) and _dumps_stack(peer)]
        place = self._dump(self._slot)
        stacks = f"; the stacks of {', '.join(asked)} are in their logs" if asked else ""
        self._note(f"slot {self._slot}: what is known is in {place}{stacks}")

    def _silent(self, process: str) -> bool:
        return any(holder.process == process and holder.state in ("silent", "busy") for holder in self.holders)


def _ascend(values: Mapping[str, float]) -> None:
    """The stages come one after the other, as in a scenario.

    Raises: ValueError: one would come before the one before it.
    """
    problems = list(descents(values))
    if problems:
        raise ValueError("; ".join(problems))


def _dumps_stack(peer: Any) -> bool:
    """Let a process of this machine write its Python stack to its log, however stuck it is."""
    if peer.host not in LOOPBACK or not _catches(peer.pid, signal.SIGUSR1):
        return False  # elsewhere its process id means something else; uncaught, the signal would end it
    with contextlib.suppress(OSError):
        os.kill(peer.pid, signal.SIGUSR1)
        return True
    return False


def _catches(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("SigCgt:"):
                return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


def _ignore(_answer: ProcessState | Failure) -> None:
    """What they answer shows in the next inquiry."""
