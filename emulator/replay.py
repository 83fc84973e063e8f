"""A recorded run as a script: what each slot gave to some nodes, and what they must answer to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bus.codec import Header, decode
from bus.errors import BusError
from bus.messages import Message, Roster
from emulator.scenario import Scenario
from emulator.scenario_file import parse
from monitoring.bag_commits import ROSTER, SHUTDOWN, TICK, Commits
from monitoring.bag_reader import Bag
from monitoring.bag_writer import BagError

FRAME = "/hub/frame"
GRAPH = "/hub/graph"
Answer = tuple[str, int]  # topic, round


@dataclass(frozen=True)
class Said:
    """A recorded message."""

    topic: str
    header: Header
    payload: bytes
    message_type: type[Message]

    def message(self) -> Any:
        """Decoded."""
        return decode(self.payload, self.message_type)


@dataclass
class Turn:
    """A committed slot.

    Attributes:
        slot, attempt: The attempt that counted.
        rosters: Who takes part, as the hub said before the slot and for its last attempt.
        frame, tick: The hub's; frame only in a frame's first slot.
        inputs: What others said, in the order recorded.
        expected: What the nodes under test said, by topic and round.
    """

    slot: int
    attempt: int = 0
    rosters: list[Said] = field(default_factory=list)
    frame: Said | None = None
    tick: Said | None = None
    inputs: list[Said] = field(default_factory=list)
    expected: dict[Answer, bytes] = field(default_factory=dict)

    @property
    def members(self) -> frozenset[str]:
        """Names in the last roster said for this slot; empty where none was."""
        if not self.rosters:
            return frozenset()
        roster: Roster = self.rosters[-1].message()
        return frozenset(member.node for member in roster.members)


def scenario_of(bag: Bag) -> tuple[Scenario, str]:
    """The recorded run's scenario, and its text; all of the bag has been read.

    Raises: BagError: the bag holds none, or one that cannot be replayed.
    """
    text = bag.attachments.get("scenario.toml", b"").decode(errors="replace")
    if not text:
        raise BagError(f"{bag.path}: holds no scenario.toml; only a run's bag (`edgerig run --record`) can do this")
    scenario = parse(text, origin=f"{bag.path}: scenario.toml")
    if scenario.clock == "wall":
        raise BagError(f"{bag.path}: recorded on the wall clock, where deadlines decide; replay a lockstep run")
    return scenario, text


def script(bag: Bag, tested: Callable[[str], bool], instance: int = 0) -> list[Turn]:
    """The committed slots of a bag, in order.

    Args:
        bag: Of a run in lockstep, recorded from its start.
        tested: Whether a node's output is expected rather than given.
        instance: Only outputs of that process instance are expected; 0: of all.
    Raises: BagError: it cannot be read.
    """
    commits = Commits()
    for record in bag.records():
        commits.see(record)
    turns = {slot: Turn(slot, commits.attempts.get(slot, 0)) for slot in range(commits.slots)}
    for record in bag.records():
        spec, place = record.channel.spec, record.place()
        turn = turns.get(place.slot)
        if spec is None or turn is None or record.topic in (SHUTDOWN, GRAPH) or place.attempt not in (0, turn.attempt):
            continue
        said = Said(record.topic, record.header(), record.payload(), spec.message)
        if record.topic == ROSTER:
            turn.rosters.append(said)
        elif record.topic == TICK:
            turn.tick = said
        elif record.topic == FRAME:
            turn.frame = said
        elif place.attempt == turn.attempt and spec.plane == "data":
            if not tested(record.channel.facts.get("publisher", "")):
                turn.inputs.append(said)
            elif not instance or record.channel.instance == instance:
                turn.expected[record.topic, place.round] = said.payload
    return [turns[slot] for slot in sorted(turns)]


@dataclass
class Verdict:
    """How a slot's answers fit what was recorded: topics by kind."""

    slot: int
    equal: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """Whether all answers are as recorded."""
        return not (self.different or self.missing or self.extra)


def judge(turn: Turn, answers: dict[Answer, bytes]) -> Verdict:
    """Hold a slot's answers against the recorded ones, byte for byte."""
    verdict = Verdict(turn.slot)
    for answer in sorted(turn.expected.keys() | answers.keys()):
        if answer not in answers:
            place = verdict.missing
        elif answer not in turn.expected:
            place = verdict.extra
        else:
            place = verdict.equal if answers[answer] == turn.expected[answer] else verdict.different
        place.append(answer[0])
    return verdict


def total(verdicts: list[Verdict]) -> Verdict:
    """All slots' verdicts in one."""
    everything = Verdict(-1)
    for verdict in verdicts:
        for kind in ("equal", "different", "missing", "extra"):
            getattr(everything, kind).extend(getattr(verdict, kind))
    return everything


class ReplayStalled(BusError):
    """A node under test did not answer as the recorded one did, and the next slot needs its answer."""

    def __init__(self, slot: int, missing: list[str], deadline_s: float) -> None:
        super().__init__(f"slot {slot}: no {', '.join(missing[:4])} within {deadline_s:g} s")
        self.slot = slot


Verdicts = Iterator[Verdict]
