"""Plays a bag to a fresh set of agents: real processes that see what the recorded ones saw, and decide again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from bus.codec import Header
from bus.messages import LinkReport, Message, Query, Setup, Shutdown, Stopped
from bus.node import Node
from bus.process import Process
from bus.publisher import Publisher
from bus.registry import Registry
from emulator import scenario_file
from emulator.launch import Launcher
from emulator.replay import FRAME, Answer, ReplayStalled, Said, Turn, Verdicts, judge, scenario_of, script
from emulator.specs import EXEC
from monitoring.bag_commits import ROSTER
from monitoring.bag_reader import Bag
from monitoring.bag_writer import BagError

RECORDED: Final = "recorded"
ANSWER_S: Final = 60.0
STOP_S: Final = 5.0


class AgentReplay:
    """Stands in for the hub and the edge servers. Use as a context; ``play`` gives a verdict a frame.

    Args:
        bag: A run's bag.
        spec: Who decides instead of the recorded agents, as in ``--agent``; RECORDED: the same.
        folder: For the logs of the agents' processes.
    Raises: BagError: the bag cannot be replayed.
    """

    def __init__(self, bag: Bag, spec: str, folder: Path) -> None:
        self.turns = script(bag, lambda node: node.startswith("/agent/"))
        self.scenario, text = scenario_of(bag)
        if spec != RECORDED:
            agent = msgspec.structs.replace(self.scenario.agent, policy=spec)
            self.scenario = msgspec.structs.replace(self.scenario, agent=agent)
            text = scenario_file.dump(self.scenario)
        if EXEC in self.scenario.agent.policy:
            raise BagError(
                f"{self.scenario.agent.policy}: a bag cannot be played to programs yet; give --agents a policy"
            )
        (folder / "logs").mkdir(exist_ok=True)
        self._answers: dict[tuple[int, int], dict[Answer, bytes]] = {}
        self._reported: set[str] = set()
        self._process = Process("hub")
        self._registry, node = self._hub(self._process, text)
        self._publishers = self._stand_in(node)
        self._process.register()
        self._launcher = Launcher(folder, self.scenario)

    def _hub(self, process: Process, text: str) -> tuple[Registry, Node]:
        count = self.scenario.edges.count
        deadlines = self.scenario.deadlines
        registry = Registry(
            process,
            {"agent": count},
            names=("/hub", "/ledger", *(f"/edge/{m}" for m in range(count))),
            liveliness_s=deadlines.liveliness_s,
            grace_s=deadlines.start_s,
        )
        setup = Setup(text, 0.0)
        registry.serve("setup", Query, lambda _: setup)
        registry.serve("report", LinkReport, self._on_report)
        return registry, process.node("/hub")

    def _stand_in(self, hub: Node) -> dict[str, Publisher]:
        """Publish what agents hear, hear what they decide."""
        made = {topic: hub.publisher(topic) for topic in (ROSTER, FRAME, "/hub/shutdown")}
        ledger = self._process.node("/ledger")
        told = {said.topic for turn in self.turns for said in turn.inputs if said.topic.startswith("/ledger/")}
        made |= {topic: ledger.publisher(topic) for topic in sorted(told | {"/ledger/frame_reward"})}
        for m in range(self.scenario.edges.count):
            node, topic = self._process.node(f"/edge/{m}"), f"/edge/{m}/frame_observation"
            made[topic] = node.publisher(topic)
            decision = f"/agent/{m}/deployment"
            node.subscribe(decision, self._keep(decision)).leave_undecoded()
        return made

    def _keep(self, topic: str) -> Callable[[Any, Header], None]:
        def keep(payload: Any, header: Header) -> None:
            self._answers.setdefault((header.slot, header.attempt), {})[topic, header.round] = payload

        return keep

    def _on_report(self, report: LinkReport) -> Message:
        self._reported.add(report.process)
        return Stopped(0)

    # -- playing -------------------------------------------------------------------------------------------------------

    def play(self) -> Verdicts:
        """Start the agents and play all slots; a verdict for each frame.

        Raises: ReplayStalled: the agents do not come, or do not decide.
        """
        self._launcher.start_agents(self._registry.address)
        start_s = self.scenario.deadlines.start_s
        if not self._process.spin(self._all_there, start_s):
            raise ReplayStalled(0, self._registry.missing() or ["agents"], start_s)
        for turn in self.turns:
            for said in self._inputs(turn):
                self._say(said)
            if turn.frame is None:
                continue
            answers = self._answers.setdefault((turn.slot, turn.attempt), {})
            wanted = turn.expected.keys()
            stalled = not self._process.spin(lambda a=answers, w=wanted: a.keys() >= w, ANSWER_S)  # type: ignore[misc]
            yield judge(turn, answers)
            if stalled:
                missing = [topic for topic, _ in wanted - answers.keys()]
                raise ReplayStalled(turn.slot, missing, ANSWER_S)
            self._answers = {at: said for at, said in self._answers.items() if at > (turn.slot, turn.attempt)}

    def _all_there(self) -> bool:
        return self._registry.all_ready() and not self._registry.missing()

    def _inputs(self, turn: Turn) -> list[Said]:
        """In the order of a run: who takes part, the frame, the last attempt's roster, what the edge servers saw."""
        first = [said for said in turn.rosters if said.header.attempt == 0]
        again = [said for said in turn.rosters if said.header.attempt > 0]
        told = [*first, turn.frame, *again, *turn.inputs]
        return [said for said in told if said is not None and said.topic in self._publishers]

    def _say(self, said: Said) -> None:
        header = said.header
        self._publishers[said.topic].publish(
            said.message(), slot=header.slot, attempt=header.attempt, round=header.round, t_sim_ns=header.t_sim_ns
        )

    def close(self) -> None:
        """Let the agents end, and end those that do not; idempotent."""
        if self._process.closed:
            return
        there = {peer.process for peer in self._registry.peers() if peer.process != self._process.name}
        self._publishers["/hub/shutdown"].publish(Shutdown("the replay is over"), slot=len(self.turns))
        self._process.stopping = False
        self._process.spin(lambda: self._reported >= there, STOP_S)
        self._process.close("the replay is over")
        self._launcher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
