"""Plays a bag into one node, in this thread: the node hears what it heard in the run, and must say what it said."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

from bus.codec import Header
from bus.messages import Roster, Tick
from bus.process import Process
from bus.publisher import Publisher
from bus.slots import Now, SlotDriver
from emulator import makers, records
from emulator.assembly import build_network, delay_edges
from emulator.folder import Writer
from emulator.nodes.ledger import LedgerNode
from emulator.nodes.signals import GainSignals
from emulator.replay import Answer, ReplayStalled, Said, Turn, Verdicts, judge, scenario_of, script
from emulator.scenario import Scenario
from monitoring.bag_reader import Bag
from monitoring.bag_writer import BagError

PLAYER: Final = 1  # instance of who plays everybody else; a registry never gives it
ANSWER_S: Final = 20.0
KINDS: Final = ("agent", "cell", "cloud", "edge", "ledger", "scheduler")


class Stage(Process):
    """A process that is given names instead of asking a registry for them."""

    def join(self, address: str, role: str, index: int | None = None, count: int = 1, **_: Any) -> tuple[str, ...]:
        """The names asked for."""
        return (f"/{role}",) if index is None else tuple(f"/{role}/{k}" for k in range(index, index + count))


class LedgerStage:
    """Does with a ledger what the hub does: starts it with each slot, commits when it is complete."""

    def __init__(self, process: Process, scenario: Scenario, folder: Path, said: Iterable[str]) -> None:
        """Make it.

        Args:
            process: Its process.
            scenario: The run's.
            folder: For its tables.
            said: Topics that it published in the run; some it only publishes for those who want them.
        """
        network = build_network(scenario)
        self._slots_per_frame = scenario.slots_per_frame
        self._roster = Roster(0, ())
        self._now: Now | None = None
        self.committed = -1
        node = process.node("/ledger")
        outlive = scenario.tasks == "queued"
        self._ledger = LedgerNode(
            node, network, delay_edges(network), scenario.slots_per_frame, Writer(folder), outlive=outlive
        )
        self._ledger.signals = GainSignals(node, network, makers.frame_gains)
        self._ledger.signals.publish(said)
        node.subscribe("/hub/roster", self._on_roster)
        node.subscribe("/hub/tick", self._on_tick)

    def _on_roster(self, roster: Roster, header: Header) -> None:
        self._roster = roster
        if header.attempt > 0:
            self._start(header.slot, header.attempt)

    def _on_tick(self, _tick: Tick, header: Header) -> None:
        self._start(header.slot, 0)

    def _start(self, slot: int, attempt: int) -> None:
        frame, within = divmod(slot, self._slots_per_frame)
        members = frozenset(member.node for member in self._roster.members)
        self._now = Now(slot, frame, attempt, within == 0, members)
        self._ledger.start(self._now, lambda share: None)

    def turn(self) -> None:
        """Commit, if the slot is complete."""
        if self._now is not None and self._ledger.complete:
            now, self._now = self._now, None
            _, frame = self._ledger.commit(self._ledger.ended())
            self.committed = now.slot
            if frame is not None:
                reward = records.frame_reward(frame)
                self._ledger.reward.publish(reward, slot=now.slot, attempt=now.attempt)


class NodeReplay:
    """One node under test. Use as a context; ``play`` gives a verdict a slot.

    Raises: BagError: the bag does not know the node, or cannot be replayed.
    """

    def __init__(self, bag: Bag, name: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="edgerig-replay-")
        self.name = name
        instance, process_name = _recorded(bag, name)
        self.scenario, _ = scenario_of(bag)
        self.turns = script(bag, lambda node: node == name, instance)
        self._answers: dict[tuple[int, int], dict[Answer, bytes]] = {}
        self._tested = Stage(process_name, instance=instance)
        self._player = Process("player", instance=PLAYER)
        self._ledger: LedgerStage | None = None
        self._build()
        self._publishers: dict[str, Publisher] = {}
        self._wire()

    def close(self) -> None:
        """Close both processes; idempotent."""
        self._tested.close()
        self._player.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _build(self) -> None:
        kind, _, index = self.name.lstrip("/").partition("/")
        process, scenario = self._tested, self.scenario
        if kind == "ledger":
            said = {topic for turn in self.turns for topic, _ in turn.expected}
            self._ledger = LedgerStage(process, scenario, Path(self._folder.name), said)
        elif kind == "scheduler":
            node = process.node(self.name)
            makers.make_scheduler_node(node, SlotDriver(node, scenario.slots_per_frame, None), scenario)
        else:
            options = argparse.Namespace(
                hub="", index=int(index) if index else None, count=1, wait=0.0, run=self._folder.name
            )
            if kind == "cloud":
                # Without the scheduler beside it: what that said is among the inputs.
                makers.make_cloud_node(options, process, scenario, None)
            else:
                makers.MAKERS[kind](options, process, scenario, None)

    def _wire(self) -> None:
        """The player publishes what the node hears, and hears what it publishes."""
        player, tested = self._player, self._tested
        node = player.node("/player")
        wanted = [topic for topic in tested.subscriptions if topic not in tested.publishers]
        for topic in wanted:
            self._publishers[topic] = node.publisher(topic)
        outputs = [topic for topic, made in tested.publishers.items() if made.spec.plane == "data"]
        for topic in outputs:
            node.subscribe(topic, self._keep(topic)).leave_undecoded()
        tested.connect(player.instance, player.endpoint)
        player.connect(tested.instance, tested.endpoint)
        inputs = [tested.subscriptions[topic] for topic in wanted]
        heard = [player.subscriptions[topic] for topic in outputs]
        self._until(
            lambda: all(s.is_matched(PLAYER) for s in inputs) and all(s.is_matched(tested.instance) for s in heard),
            lambda: ReplayStalled(0, ["match of both processes"], ANSWER_S),
        )

    def _keep(self, topic: str) -> Any:
        def keep(payload: bytes, header: Header) -> None:
            at = (header.slot, header.attempt)
            self._answers.setdefault(at, {})[topic, header.round] = payload

        return keep

    # -- playing -------------------------------------------------------------------------------------------------------

    def play(self) -> Verdicts:
        """Play all slots, a verdict for each.

        Raises: ReplayStalled: the node does not say what the next slot needs; the slot's verdict came before.
        """
        for turn in self.turns:
            self._tell(turn)
            answers = self._answers.setdefault((turn.slot, turn.attempt), {})
            stalled = not self._turns_until(partial(self._has_ended, turn, answers))
            yield judge(turn, answers)
            if stalled:
                missing = [topic for topic, _ in turn.expected.keys() - answers.keys()]
                raise ReplayStalled(turn.slot, missing, ANSWER_S)
            self._answers.pop((turn.slot, turn.attempt))
            self._answers = {at: said for at, said in self._answers.items() if at > (turn.slot, turn.attempt)}

    def _has_ended(self, turn: Turn, answers: dict[Answer, bytes]) -> bool:
        committed = self._ledger is None or self._ledger.committed >= turn.slot
        return committed and answers.keys() >= turn.expected.keys()

    def _tell(self, turn: Turn) -> None:
        first = [said for said in turn.rosters if said.header.attempt == 0]
        again = [said for said in turn.rosters if said.header.attempt > 0]
        for said in [*first, turn.frame, turn.tick, *again, *turn.inputs]:
            if said is not None and said.topic in self._publishers:
                self._say(said)

    def _say(self, said: Said) -> None:
        header = said.header
        where: dict[str, Any] = {"slot": header.slot, "attempt": header.attempt, "round": header.round}
        self._publishers[said.topic].publish(said.message(), **where, t_sim_ns=header.t_sim_ns)

    def _turns_until(self, condition: Any) -> bool:
        end_s = time.monotonic() + ANSWER_S
        while not condition():
            if time.monotonic() > end_s:
                return False
            self._tested.spin_once(0.0)
            if self._ledger is not None:
                self._ledger.turn()
            self._player.spin_once(0.0)
        return True

    def _until(self, condition: Any, otherwise: Any) -> None:
        if not self._turns_until(condition):
            raise otherwise()


def _recorded(bag: Bag, name: str) -> tuple[int, str]:
    """Instance and process name of the node in the run: of who said most under its name.

    Raises: BagError: nobody did.
    """
    said: Counter[tuple[int, str]] = Counter()
    names = set()
    for record in bag.records():
        facts = record.channel.facts
        names.add(facts.get("publisher", ""))
        if facts.get("publisher") == name:
            said[record.channel.instance, facts.get("process", "")] += 1
    if not said:
        there = ", ".join(sorted(n for n in names if n.lstrip("/").partition("/")[0] in KINDS))
        raise BagError(f"{bag.path}: {name} said nothing in it; there are {there}")
    return said.most_common(1)[0][0]
