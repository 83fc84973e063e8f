"""What a run on the bus says of its agents, arm by arm: message bytes and memory of a decision maker, decision times.

Both arms are asked in every frame (the baseline's agents stand by), so one run has the figures of both.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from emulator.folder import read_table
from emulator.overhead import DECIDING, WORK
from emulator.trials.figures import Arm

FOREIGN: Final = "foreign:"
"""Begins the topics of those who come by a swap (``docs/overhead.md``)."""

DECIDED: Final = re.compile(r"(foreign:)?/agent/\d+/(deployment|rental)", re.IGNORECASE)
SWAPPED: Final = "-swap-"
KIBIBYTE: Final = 1024


def message_bytes(folder: Path) -> dict[Arm, float]:
    """Payload that an agent is shown and says for one decision, by arm, from messages.csv.

    Args:
        folder: Of a run whose own agents are no programs, whose rows would be those of the candidate, too.
    Source: ours: rows of the deciding phases with an agent at one end, each once, over the decisions that were said.
    """
    payload: dict[Arm, int] = defaultdict(int)
    decisions: dict[Arm, dict[str, int]] = {"baseline": {}, "candidate": {}}
    with (folder / "messages.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            says, hears = row["publisher"].startswith("/agent/"), row["subscriber"].lstrip("/").startswith("agent")
            if row["phase"] not in DECIDING or row["class"] not in WORK or not (says or hears):
                continue
            arm: Arm = "candidate" if row["topic"].startswith(FOREIGN) else "baseline"
            payload[arm] += int(row["payload_bytes"])
            if says and DECIDED.fullmatch(row["topic"]):
                said, who = int(row["messages"]), row["publisher"]
                decisions[arm][who] = max(said, decisions[arm].get(who, 0))
    return {arm: payload[arm] / sum(said.values()) for arm, said in decisions.items() if sum(said.values())}


def decision_s(folder: Path, slots_per_frame: int, held: Mapping[int, range]) -> dict[str, list[float]]:
    """How long decisions that counted took, seconds, by who was bound.

    Args:
        folder: Of a run with swaps, so that it has decisions.csv.
        slots_per_frame: Of its scenario.
        held: The frames in which the candidate was bound, by edge server.
    """
    found: dict[str, list[float]] = {"baseline": [], "candidate": []}
    if not (folder / "decisions.csv").exists():
        return found
    table = read_table(folder / "decisions.csv")
    for slot, edge, seconds in zip(table["slot"], table["edge"], table["decision_s"], strict=True):
        there = int(slot) // slots_per_frame in held.get(int(edge), ())
        found["candidate" if there else "baseline"].append(seconds)
    return found


class Residents:
    """How much memory agents' processes came to hold at most, looked at while they live.

    The kernel keeps the peak, so a look may come at any time; what is missed is what came after the last one.
    """

    def __init__(self) -> None:
        self._peaks: dict[str, int] = {}

    def look(self, processes: Iterable[tuple[str, int]]) -> None:
        """Take in the peaks of agents' processes (name, id) as they are now; who is gone keeps the last one."""
        for name, pid in processes:
            if name.startswith("agent-"):
                self._peaks[name] = max(self._peaks.get(name, 0), peak_bytes(pid))

    def memory(self, edges: int) -> dict[Arm, float]:
        """Peak resident memory of a process, mean over processes of an arm; none where agents share a process."""
        ours = [peak for name, peak in self._peaks.items() if SWAPPED not in name]
        theirs = [peak for name, peak in self._peaks.items() if SWAPPED in name]
        found: dict[Arm, float] = {}
        if len(ours) == edges and all(ours):
            found["baseline"] = sum(ours) / edges
        if theirs and all(theirs):
            found["candidate"] = sum(theirs) / len(theirs)
        return found


def peak_bytes(pid: int) -> int:
    """Most memory that a process ever had resident; 0 if it has ended."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    found = re.search(r"^VmHWM:\s+(\d+) kB", text, re.MULTILINE)
    return KIBIBYTE * int(found[1]) if found else 0


def across(figure: Mapping[Arm, float], binding: Sequence[Arm]) -> tuple[float, float] | None:
    """A figure of an agent as mean over edge servers: of the run as it was bound, and of its twin; None if unknown."""
    if not {"baseline", *binding} <= figure.keys():
        return None
    return sum(figure[arm] for arm in binding) / len(binding), figure["baseline"]
