"""What the processes of a run say to each other, slot by slot, as bytes: the script of the bare run of the bench.

The messages are those of the scenario played in this process, encoded as on the bus, so counts and sizes are the run's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from agents import rollout
from bus import codec, topics
from bus.bench_bare import Part, Stage
from bus.messages import Array, Completed, Deployment, Done, Message, Offload, Peer, Tick
from emulator import records
from emulator.model.offloading import Floats, flows
from emulator.scenario import Scenario
from emulator.world import FrameStep

DIGEST: Final = bytes(32)
HUB: Final = "hub"
CLOUD: Final = "cloud"
# Kinds of frames: what a stage waits for.
TICK, FRAME, ARRIVALS, OBSERVATION, DEPLOYMENT, IN_FORCE, SCHEDULE, OFFLOAD, COMPLETED, OUTCOME, DONE, REWARD = range(
    12
)


class Script:
    """The parts of a bare run, written down in causal order."""

    def __init__(self, peers: tuple[Peer, ...]) -> None:
        """Take processes, subscriptions and connections over from a run.

        Args:
            peers: The processes of the run, as its registry knows them.
        """
        published = {peer.process: {r.topic for n in peer.nodes for r in n.publishes} for peer in peers}
        wanted = {peer.process: {r.topic for n in peer.nodes for r in n.subscribes} for peer in peers}
        self.process = {node.name: peer.process for peer in peers for node in peer.nodes}
        self.parts: dict[str, Part] = {}
        for name in sorted(published, key=lambda name: name != HUB):
            others = [other for other in published if other != name]
            listens = sorted(other for other in others if published[other] & wanted[name])
            notices = sum(len(wanted[other]) for other in others if published[name] & wanted[other])
            self.parts[name] = Part(name, sorted(wanted[name]), listens, notices, [])
        self._listeners: dict[str, list[str]] = {}
        self._due = {name: [0] * 12 for name in self.parts}
        self.messages = 0
        self.wire_bytes = 0

    def slot(self) -> None:
        """Begin a slot."""
        for part in self.parts.values():
            part.slots.append([])

    def wait(self, process: str, *kinds: int) -> None:
        """A stage begins when all frames of these kinds have come that were sent to the process so far."""
        self.parts[process].slots[-1].append(Stage([(kind, self._due[process][kind]) for kind in kinds]))

    def send(self, process: str, kind: int, topic: str, message: Message) -> None:
        """The process's current stage sends a message, to whoever subscribed its topic."""
        frame = codec.encode(topic, codec.Header(codec.VERSION, 0, 0, 0, 0, 0, 0, 0, 0, 0), message)
        self.parts[process].slots[-1][-1].sends.append(frame[:-1] + bytes((kind,)))
        if topic not in self._listeners:
            self._listeners[topic] = [name for name, part in self.parts.items() if topic in part.subscribes]
        for listener in self._listeners[topic]:
            if listener != process:
                self._due[listener][kind] += 1
                self.messages += 1
                self.wire_bytes += codec.wire_bytes(len(frame))


def script_of(scenario: Scenario, peers: tuple[Peer, ...]) -> Script:
    """Write down a scenario; edge servers and agents must have a process each, as they have by default."""
    script = Script(peers)
    counts = np.zeros((scenario.edges.count, 0, scenario.services.count))
    for played in rollout.play(scenario):
        step = played.step
        for k, said in enumerate(step.records(scenario.slots_per_frame)):
            _Slot(script, scenario, step, k, dict(said)).write(counts)
        counts = np.stack([slot.tasks for slot in step.slots], axis=1)
    return script


class _Slot:
    """One slot of a script."""

    def __init__(self, script: Script, scenario: Scenario, step: FrameStep, k: int, said: dict[str, Message]) -> None:
        self._script = script
        self._step = step
        self._slot = step.slots[k]
        self._frame = step.row.frame
        self._first, self._last = k == 0, k == scenario.slots_per_frame - 1
        self._said = said
        self._cloud = scenario.edges.count
        self._edges = range(scenario.edges.count)
        self._delays = Completed(Array.of(np.zeros(scenario.services.count)))
        self._digests: dict[str, list[tuple[str, int, bytes]]] = {}
        self._targets = [list(self._asked(m)) for m in self._edges]

    def write(self, counts: Floats) -> None:
        """Write the slot down; counts of the frame before, shape (edge, slot, service)."""
        script = self._script
        script.slot()
        tick = Tick(self._slot.row.slot, self._frame, 1)
        script.wait(HUB)
        if self._first:
            script.send(HUB, FRAME, "/hub/frame", tick)
        script.send(HUB, TICK, "/hub/tick", tick)
        self._arrive()
        if self._first:
            self._decide(counts)
        script.wait(CLOUD, TICK, ARRIVALS, IN_FORCE)
        self._say(CLOUD, SCHEDULE, "/scheduler/schedule")
        self._route()
        self._answer()
        script.wait(HUB, OUTCOME, DONE, IN_FORCE)
        if self._last:
            self._say(HUB, REWARD, "/ledger/frame_reward")

    def _asked(self, m: int) -> Iterator[int]:
        split, tasks = self._slot.split[m], self._slot.tasks[m]
        asked = np.nonzero((split * (tasks > 0.0)).any(axis=1))[0].tolist()
        return (n for n in asked if n != m)

    def _say(self, process: str, kind: int, topic: str) -> None:
        """A message that is known from the world in this process."""
        self._script.send(process, kind, topic, self._said[topic])
        if topics.match(topic).digest:
            self._digests.setdefault(process, []).append((topic, 0, DIGEST))

    def _done(self, process: str, *timings: str) -> None:
        done = Done(process, self._slot.row.slot, tuple(self._digests.get(process, ())), dict.fromkeys(timings, 0.0))
        self._script.send(process, DONE, f"/process/{process}/done", done)

    def _arrive(self) -> None:
        cells: dict[str, list[int]] = {}
        for m in self._edges:
            cells.setdefault(self._script.process[f"/cell/{m}"], []).append(m)
        for process, hosted in cells.items():
            self._script.wait(process, TICK)
            for m in hosted:
                self._say(process, ARRIVALS, f"/cell/{m}/arrivals")
            self._done(process)

    def _decide(self, counts: Floats) -> None:
        script = self._script
        for m in self._edges:
            edge, agent = self._edge(m), script.process[f"/agent/{m}"]
            script.wait(edge, TICK)
            seen = records.frame_observation(m, self._frame, counts[m])
            script.send(edge, OBSERVATION, f"/edge/{m}/frame_observation", seen)
            script.wait(agent, FRAME, OBSERVATION)
            decision = Deployment(m, self._frame, records.services_of(self._step.deployed[m]))
            script.send(agent, DEPLOYMENT, f"/agent/{m}/deployment", decision)
            script.wait(edge, DEPLOYMENT)
            self._say(edge, IN_FORCE, f"/edge/{m}/deployment_in_force")

    def _route(self) -> None:
        flow = flows(self._slot.tasks, self._slot.split)
        for m in self._edges:
            self._script.wait(self._edge(m), TICK, ARRIVALS, SCHEDULE)
            for n in self._targets[m]:
                to = CLOUD if n == self._cloud else str(n)
                offload = Offload(Array.of(flow[m, n]))
                self._script.send(self._edge(m), OFFLOAD, f"/edge/{m}/offload/{to}", offload)

    def _answer(self) -> None:
        script = self._script
        script.wait(CLOUD, OFFLOAD)
        for origin in self._origins(self._cloud):
            script.send(CLOUD, COMPLETED, f"/cloud/completed/{origin}", self._delays)
        self._done(CLOUD, "schedule_s")
        for n in self._edges:
            script.wait(self._edge(n), OFFLOAD)
            for origin in self._origins(n):
                script.send(self._edge(n), COMPLETED, f"/edge/{n}/completed/{origin}", self._delays)
        for m in self._edges:
            script.wait(self._edge(m), COMPLETED)
            self._say(self._edge(m), OUTCOME, f"/edge/{m}/outcome")
            self._done(self._edge(m), *([f"decision_s/agent/{m}"] if self._first else []))

    def _origins(self, target: int) -> list[int]:
        return [m for m in self._edges if target in self._targets[m]]

    def _edge(self, m: int) -> str:
        return self._script.process[f"/edge/{m}"]
