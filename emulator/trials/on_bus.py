"""Trials on the bus: each run of a stage is a run of processes, in which the candidate is swapped in and watched.

The hub swaps at the frame after the warm-up, the baseline's agents stand by, and the hub itself binds them again at the
next boundary after a crash or a decision that was refused. What became of it is read from the run's folder.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec

from agents.errors import AgentError
from agents.manifest import load as load_manifest
from agents.manifest import load_programs
from agents.policy_host import check_hostable
from bus.client import Client
from bus.credentials import LAUNCHER
from bus.errors import BusError
from bus.messages import RunStatus
from bus.swap_messages import Swap, SwapState
from emulator import run as runs
from emulator.errors import ScenarioError
from emulator.folder import read_table
from emulator.keys import credential_of
from emulator.launch import Launcher
from emulator.nodes.deadlines import DECISION, RENTED
from emulator.scenario import Scenario
from emulator.scenario_file import load as load_scenario
from emulator.specs import is_program, manifest_of
from emulator.trials import bus_books
from emulator.trials.bus_books import Residents, across
from emulator.trials.episode import Note, binding_note, summed
from emulator.trials.figures import Arm, FrameSeen, Guardrail, Incident
from emulator.trials.in_process import InProcess
from emulator.trials.plan import Plan
from emulator.trials.rental_worlds import RentalTrack
from emulator.trials.rules import RunFigures, Trial
from emulator.trials.worlds import OffloadingTrack

FIGURES: Final = ("delay", "reward", "message_bytes", "memory")
READY_S: Final = 60.0
WORDS: Final[tuple[tuple[str, Guardrail], ...]] = (
    ("infeasible", "infeasible"),
    ("malformed", "infeasible"),
    ("late", "late"),
)
"""What the hub says of a swap that failed, and the guardrail that is."""


class OnBus:
    """Holds the runs of a trial on the bus."""

    def __init__(self, plan: Plan, rate: float | None = None) -> None:
        """Read the scenario and check that the trial can be held on the bus.

        Args:
            plan: The trial.
            rate: On the wall clock: simulated seconds a second; None: in lockstep.
        Raises: ScenarioError, AgentError: it cannot.
        """
        self.plan, self._folder = plan, Path("runs")
        self.live: dict[str, Any] | None = None
        self.mode = "lockstep" if rate is None else "wall"
        read = plan.with_faults(load_scenario(plan.scenario, plan.set))
        agent = msgspec.structs.replace(
            read.agent,
            policy=plan.baseline,
            decision_budget_s=plan.guardrails.decision_budget_s or read.agent.decision_budget_s,
        )
        clock: dict[str, Any] = {"clock": "lockstep"} if rate is None else {"clock": "wall", "rate": rate}
        self._check(read)
        self.scenario = runs.prepare(msgspec.structs.replace(read, agent=agent, **clock), on_bus=True)
        self.trial = Trial(plan, self.scenario.edges.count, self.scenario.world)
        self._beside = self._in_process()

    def into(self, folder: Path) -> OnBus:
        """Let the folders of runs be made in the trial's, in ``runs``."""
        self._folder = folder / "runs"
        return self

    def _check(self, scenario: Scenario) -> None:
        plan = self.plan
        if scenario.link:
            raise ScenarioError(
                f"{plan.name}: scenario: emulated links do not lead to agents that come by a swap; hold the trial in "
                "one process (leave out --bus and --rate), or take [[link]] out"
            )
        for spec in (plan.candidate, plan.baseline):
            if is_program(spec):
                load_programs([spec], scenario.world)
            elif spec == plan.candidate or scenario.world == "rental":
                check_hostable(spec, scenario.world)
        named = Trial(plan, scenario.edges.count, scenario.world)
        for stage in plan.stage:
            named.binding(stage)
            if stage.kind == "shadow" and not can_be_called(plan.candidate):
                raise AgentError(
                    f"{plan.name}: stage shadow: {plan.candidate} cannot be called in this process; leave it out"
                )
        for guard in named.guards:
            if guard.figure not in FIGURES:
                raise ScenarioError(f"{plan.name}: guardrails: {guard.figure} is not measured on the bus; leave it out")
            self._check_measured(guard.figure, scenario)

    def _check_measured(self, figure: str, scenario: Scenario) -> None:
        """What only the books of processes say cannot always be told apart, arm by arm."""
        plan, place = self.plan, f"{self.plan.name}: guardrails: {figure}"
        if figure == "message_bytes" and is_program(plan.baseline):
            raise ScenarioError(f"{place}: both arms are programs, whose messages are counted together; leave it out")
        if figure == "memory" and 0 < scenario.processes.agent < scenario.edges.count:
            raise ScenarioError(f"{place}: the baseline's agents share processes; set processes.agent=0")
        if figure == "memory" and any(stage.kind == "shadow" for stage in plan.stage):
            raise ScenarioError(f"{place}: a shadow stage is played in one process; leave out one of the two")

    def _in_process(self) -> InProcess | None:
        """The worlds that shadows and twins are in; None where the baseline cannot be called in this process."""
        if not (can_be_called(self.plan.baseline) and can_be_called(self.plan.candidate)):
            return None
        guardrails = msgspec.structs.replace(self.plan.guardrails, memory_more_share=None)  # that of processes alone
        return InProcess(msgspec.structs.replace(self.plan, guardrails=guardrails))

    def play(self, index: int, seed: int, note: Note) -> RunFigures:
        """Play the run of a stage and its twin."""
        stage = self.plan.stage[index]
        if stage.kind == "shadow" and self._beside is not None:
            return self._beside.play(index, seed, note)
        binding = self.trial.binding(stage)
        frames = self.plan.warmup_frames + stage.frames
        note(binding_note(index, seed, 0, ["baseline"] * len(binding)))
        note(binding_note(index, seed, self.plan.warmup_frames, binding))
        residents = Residents()
        folder, summary = self._run(f"{index}-{seed}", seed, frames, binding, residents)
        state = (summary.get("swaps") or [{}])[-1]
        run, twin = frames_of(folder, len(binding)), self._twin(index, seed, frames)
        breach = _as_told(folder, self.scenario, state, breach_of(state, self.plan.warmup_frames, self.mode == "wall"))
        back = int(state.get("rolled_back_frame", -1))
        first, last = int(state.get("frame", -1)), back if back >= 0 else len(run)
        if breach is not None:
            note(binding_note(index, seed, last, ["baseline"] * len(binding)))
        pairs = list(zip(run, twin, strict=True))
        found = summed(index, seed, binding, pairs, pairs[first:last] if first >= 0 else [], breach)
        missed = int(state.get("missed", 0))
        held = {m: range(first, last) for m, arm in enumerate(binding) if arm == "candidate" and first >= 0}
        found = self._with_books(found, folder, binding, residents, held)
        everywhere = int(summary.get("missed") or 0) + int(summary.get("refused") or 0)
        return msgspec.structs.replace(
            found, back_frame=back, missed=missed, missed_outside=max(everywhere - missed, 0)
        )

    def _with_books(
        self, found: RunFigures, folder: Path, binding: list[Arm], residents: Residents, held: dict[int, range]
    ) -> RunFigures:
        """Add what the run's books say of its agents.

        Raises: BusError: a figure with a guardrail could not be measured.
        """
        took = bus_books.decision_s(folder, self.scenario.slots_per_frame, held)
        if not found.run:
            return msgspec.structs.replace(found, decision_s=took)
        sent = {} if is_program(self.plan.baseline) else bus_books.message_bytes(folder)
        run, twin = dict(found.run), {name: found.twin[name] for name in found.run}
        for name, figure in (("message_bytes", sent), ("memory", residents.memory(self.trial.edges))):
            both = across(figure, binding)
            if both is not None:
                run[name], twin[name] = both
            elif any(guard.figure == name for guard in self.trial.guards):
                raise BusError(f"{folder}: {name} of an agent could not be measured, but a guardrail rests on it")
        return msgspec.structs.replace(found, run=run, twin=twin, decision_s=took)

    def _twin(self, index: int, seed: int, frames: int) -> list[FrameSeen]:
        """The same frames with the baseline everywhere, in this process where that can be."""
        if can_be_called(self.plan.baseline):
            scenario = msgspec.structs.replace(self.scenario, seed=seed)
            made = RentalTrack if scenario.world == "rental" else OffloadingTrack
            track = made(scenario, {"baseline": self.plan.baseline}, float("inf"))
            return [track.frame() for _ in range(frames)]
        return frames_of(self._run(f"{index}-{seed}-twin", seed, frames, [])[0], self.trial.edges)

    def _run(
        self, name: str, seed: int, frames: int, binding: list[Arm], residents: Residents | None = None
    ) -> tuple[Path, dict[str, Any]]:
        """A run on the bus in a folder of its own; the candidate comes where it is bound."""
        scenario = msgspec.structs.replace(self.scenario, seed=seed, frames=frames)
        folder = self._folder / name
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed under way, and is played anew
        edges = tuple(m for m, arm in enumerate(binding) if arm == "candidate")

        started: list[Launcher] = []

        def look(_status: RunStatus) -> None:
            if residents is not None:
                residents.look(started[0].unreaped())

        def swap(launcher: Launcher) -> None:
            started.append(launcher)
            if edges and launcher.address:
                with Client(launcher.address, READY_S, credential=credential_of(LAUNCHER)) as client:
                    asked = Swap(edges, self.plan.candidate, (), self.plan.warmup_frames, -1, READY_S, cold=True)
                    client.call("swap", asked, SwapState)

        result = runs.on_bus(scenario, str(folder), look, swap)
        if result.code == runs.INTERRUPTED:
            raise KeyboardInterrupt
        if result.code:
            reason = (result.summary.get("exit") or {}).get("reason") or f"ended with code {result.code}"
            raise BusError(f"{folder}: the run was not played to its end: {reason}")
        return folder, result.summary


def _as_told(folder: Path, scenario: Scenario, state: dict[str, Any], breach: Incident | None) -> Incident | None:
    """A breach as the run's events tell it.

    A decision that was late because the agent had died is a crash: on the wall clock the deadline comes first. Its
    frame is that of the slot in which the agent was lost, which nobody had to conclude from the rollback.
    """
    path = folder / "events.jsonl"
    if breach is None or breach.guardrail == "infeasible" or not path.exists():
        return breach
    bound = {f"/agent/{part['edge']}" for part in state["parts"]}
    last = max(breach.frame, state["rolled_back_frame"])
    for event in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
        frame = event["slot"] // scenario.slots_per_frame
        if event["kind"] == "lost" and bound & set(event["nodes"]) and state["frame"] <= frame <= last:
            more = f"; {event['text']}" if breach.guardrail == "late" else ""
            return replace(breach, guardrail="crash", frame=frame, text=breach.text + more)
    if breach.guardrail == "late" and scenario.clock == "wall":
        return replace(
            breach, text=f"{breach.text}: not there at its deadline, {_deadline_s(scenario):g} s into the slot"
        )
    return breach


def _deadline_s(scenario: Scenario) -> float:
    """How far into a slot of the wall clock a decision must be there, seconds."""
    share = RENTED if scenario.world == "rental" else DECISION
    return min(share * scenario.slot_s / scenario.rate, scenario.agent.decision_budget_s)


def can_be_called(spec: str) -> bool:
    """Whether an agent can be called in this process."""
    return not is_program(spec) or load_manifest(manifest_of(spec)).manifest.kind != "exec"


def frames_of(folder: Path, cells: int) -> list[FrameSeen]:
    """The frames of a run, from its folder, of either world; a slot of the rental world is a frame."""
    if (folder / "edges.csv").exists():
        return _rental_frames(folder, cells)
    frames, table = read_table(folder / "frames.csv"), read_table(folder / "cells.csv")
    rows = list(zip(*(table[name] for name in ("frame", "local", "peer", "cloud", "delay_s")), strict=True))
    found = []
    for k, (frame, reward) in enumerate(zip(frames["frame"], frames["reward_s"], strict=True)):
        mine = rows[k * cells : (k + 1) * cells]
        completed = tuple(local + peer + cloud for _, local, peer, cloud, _ in mine)
        cost_s = tuple(done * row[4] for done, row in zip(completed, mine, strict=True))
        found.append(FrameSeen(int(frame), completed, cost_s, reward))
    return found


def _rental_frames(folder: Path, edges: int) -> list[FrameSeen]:
    slots, table = read_table(folder / "slots.csv"), read_table(folder / "edges.csv")
    rows = list(zip(table["tasks"], table["delay_s"], strict=True))
    found = []
    for k, (slot, reward) in enumerate(zip(slots["slot"], slots["reward"], strict=True)):
        mine = rows[k * edges : (k + 1) * edges]
        completed = tuple(tasks for tasks, _ in mine)
        found.append(FrameSeen(int(slot), completed, tuple(tasks * delay_s for tasks, delay_s in mine), reward))
    return found


def breach_of(state: dict[str, Any], warmup_frames: int, wall: bool) -> Incident | None:
    """The guardrail that a swap came to its end by; None where those who came decided to the run's end.

    Raises: BusError: the run has no word of the swap.
    """
    if not state:
        raise BusError("the run knows of no swap; see its logs/hub.log")
    if state["stage"] not in ("failed", "rolled back"):
        return None
    reason = state["reason"]
    guardrail: Guardrail = next((guardrail for word, guardrail in WORDS if re.search(rf"\b{word}\b", reason)), "crash")
    edge = re.match(r"edge (\d+)", reason)
    at = re.match(r"edge \d+, frame (\d+)", reason)
    back = state["rolled_back_frame"]
    # Who dies in a slot of lockstep is replaced in that very slot, which is computed again.
    died = back - 1 if wall else back
    frame = int(at[1]) if at else died if back >= 0 else warmup_frames - 1
    first = state["parts"][0]["edge"]
    covered = state["frame"] < 0 or not state["missed"]
    return Incident(guardrail, int(edge[1]) if edge else first, frame, "candidate", reason, covered=covered)
