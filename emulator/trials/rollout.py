"""The live half of a trial: a candidate that did well beside the network takes over a run that goes on, by stages.

The run is one replicate, so it proves nothing of delays; what it shows is whether the candidate crashes, answers badly
or comes late where it really works, and the hub takes it back by itself if so. The same run with the baseline
everywhere, in this process, is the twin that its delay is shown against.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Final, Literal

from bus.client import Client
from bus.errors import BusError
from bus.messages import Query, RunStatus, Setup
from bus.swap_messages import SwapState
from emulator.errors import RunFolderError, ScenarioError
from emulator.nodes.control import silenced
from emulator.nodes.swap_request import facts_of
from emulator.scenario import Scenario
from emulator.scenario_file import parse
from emulator.trials import live_state
from emulator.trials.episode import Note
from emulator.trials.figures import Arm, Guardrail, Incident
from emulator.trials.lead import GOING, Lead
from emulator.trials.live_state import Begun, From, Line, LiveStage
from emulator.trials.live_twin import Twin
from emulator.trials.on_bus import breach_of, can_be_called
from emulator.trials.plan import Stage
from emulator.trials.rules import Trial, Verdict
from emulator.trials.switchback_run import Blocks

SWITCHBACK: Final = Stage(kind="all", frames=1)
"""What reports call the blocks of a switchback: the candidate is everywhere in them."""


class Rollout:
    """Leads a run through the canary and ``all`` stages of a trial."""

    def __init__(
        self,
        client: Client,
        trial: Trial,
        scenario: Scenario,
        note: Note,
        tell: Callable[[str], None],
        lines: Sequence[Line] = (),
    ) -> None:
        """Prepare; nothing is changed yet.

        Args:
            client: Of the run's hub, with the right to change things.
            trial: Which has come to ``promoted`` beside the network.
            scenario: The run's.
            note: Told every binding before it is asked for.
            tell: Takes lines for people.
            lines: The trial's journal, if it is gone on with.
        """
        self.trial, self.scenario, self._note, self._tell = trial, scenario, note, tell
        self.name = f"trial {trial.plan.name}"
        self.lead = Lead(client, self.name, wall=scenario.clock == "wall", tell=tell)
        self._was = live_state.read(lines)
        self._swaps: list[int] = []
        self._from: From | None = None
        baseline = trial.plan.baseline
        twin = trial.plan.switchback is None and can_be_called(baseline)
        self._twin = Twin(scenario, baseline) if twin else None
        self._turn = 0  # the swap of the candidate's block that is under way, in a switchback
        self.stages: list[LiveStage] = []
        self.blocks: Blocks | None = None
        """The turns of a switchback, once they have begun."""

    def hold(self) -> Verdict:
        """Lead the run through the stages, and say how it ended; afterwards the run goes on by itself.

        Raises: BusError: the hub is gone, or refuses. RunFolderError: the journal is of another run.
            KeyboardInterrupt: the baseline is bound again before.
        """
        run = self.lead.run()
        if self._was.run not in (None, run):
            raise RunFolderError(
                "its live run has ended, and this is another one; hold the trial anew, into another folder"
            )
        if self._twin is not None:  # before: who is in control must not be silent
            self._twin.catch_up(lambda: self.lead.look().slot + 1, lambda text: self._tell(f"{self.name}: {text}"))
        self.lead.take()
        self._note({"event": "live_run", "run": run})
        ended = False
        try:
            verdict = self._held()
            ended = True
            return verdict
        finally:
            if not ended:
                self._note({"event": "bind", "live": True, "candidates": []})
                self._end("rollback")
            self.lead.give_up()

    def _held(self) -> Verdict:
        if self._was.run is not None:
            self._take_up()
        if self._was.broke is not None:
            return self._broken(*self._was.broke)
        for index, stage in enumerate(self.trial.plan.stage):
            if stage.kind != "shadow" and index not in self._was.over:
                breach = self._stage(index, stage)
                if breach is not None:
                    return self._back(stage, breach)
        if self.trial.plan.switchback is not None:
            return self._in_turns()
        self._end("drain")
        return self._promoted()

    # -- a trial that is gone on with ----------------------------------------------------------------------------------

    def _take_up(self) -> None:
        """Find the swaps that the trial had asked for; where they were given back meanwhile, stages begin anew."""
        was, states = self._was, {state.number: state for state in self.lead.states()}
        self.stages = [was.over[index] for index in sorted(was.over)]
        self._swaps = [live.swap for live in self.stages]
        if was.begun is not None:
            begun = was.begun[1]
            begun.swap = begun.swap or self._asked_already(begun, states)
            if begun.swap:
                self._swaps.append(begun.swap)
            else:
                was.begun = None
        lost = silenced(self.name)
        if was.broke is None and any(states[number].reason == lost for number in self._swaps if number in states):
            self._note({"event": "bind", "live": True, "candidates": []})
            was.over, was.begun, self.stages, self._swaps = {}, None, [], []
            self._tell(f"{self.name}: the baseline was bound again meanwhile; the stages begin anew")
        else:
            self._tell(f"{self.name}: in control again")

    def _asked_already(self, begun: Begun, states: dict[int, SwapState]) -> int:
        """The swap of a stage that the trial was killed in before it knew its number; 0: it was not asked for."""
        mine = [n for n, state in states.items() if n not in self._swaps and _edges(state) == set(begun.edges)]
        newest = max(mine, default=0)
        return newest if newest and newest > max(self._swaps, default=0) and states[newest].stage != "done" else 0

    # -- stages --------------------------------------------------------------------------------------------------------

    def _stage(self, index: int, stage: Stage) -> Incident | None:
        """Bind the candidate where the stage wants it, and watch it for the stage's frames."""
        live = self._went_on(index, stage) or self._begin(index, stage)
        self.stages.append(live)
        while True:
            status, found = self.lead.look(), self._states()
            breach = next((each for each in map(self._breach, found) if each is not None), None)
            (mine,) = [each for each in found if each.number == live.swap]
            self._book(index, live, mine, status)
            if breach is not None or live.frames >= stage.frames:
                live.swaps = [facts_of(each) for each in found]
                self._note({"event": "live_stage", "stage": index, "facts": asdict(live)})
                return breach
            if status.phase not in GOING:
                raise BusError(
                    f"the run ended in stage {stage.kind}, in frame {status.frame}; the trial needs more frames"
                )
            self.lead.step()

    def _begin(self, index: int, stage: Stage) -> LiveStage:
        bound = {edge for live in self.stages for edge in live.edges}
        wanted = [m for m, arm in enumerate(self.trial.binding(stage)) if arm == "candidate" and m not in bound]
        at = self.lead.boundary()
        self._note(
            {"event": "bind", "live": True, "stage": index, "frame": at, "candidates": sorted(bound | set(wanted))}
        )
        number = self.lead.swap(wanted, self.trial.plan.candidate, at).number
        self._note({"event": "live_swap", "stage": index, "number": number})
        self._swaps.append(number)
        self._from = None
        if not self.lead.wall:
            self._counts_from(index, self.lead.look())
        return LiveStage(stage.kind, wanted, number)

    def _went_on(self, index: int, stage: Stage) -> LiveStage | None:
        """The stage that was under way when the trial was killed."""
        if self._was.begun is None or self._was.begun[0] != index:
            return None
        begun, self._was.begun = self._was.begun[1], None
        self._from = begun.start
        if self._from is None and not self.lead.wall:
            self.lead.boundary()
            self._counts_from(index, self.lead.look())
        return LiveStage(stage.kind, begun.edges, begun.swap)

    def _counts_from(self, index: int, status: RunStatus) -> None:
        self._from = From.of(status)
        self._note({"event": "live_from", "stage": index, **asdict(self._from)})

    # -- turns of a switchback -----------------------------------------------------------------------------------------

    def _in_turns(self) -> Verdict:
        self._end("rollback")  # blocks begin with the baseline everywhere
        self.blocks = Blocks(self, self._tell)
        found = self.blocks.hold()
        if isinstance(found, Incident):
            self.blocks.facts["rolled_back_frame"] = max(state.rolled_back_frame for state in self._states())
            return self._back(SWITCHBACK, found)
        if found.word == "promoted" and not isinstance(self.bind("candidate"), Incident):
            self._end("drain")
        else:
            self.bind("baseline")
            self.lead.step()
            self.blocks.facts["rolled_back_frame"] = max(state.rolled_back_frame for state in self._states())
        return found

    def bind(self, arm: Arm) -> int | Incident:
        """Let an arm decide everywhere; from which frame on it does, or what the candidate broke."""
        at = self.lead.boundary()
        everywhere = list(range(self.scenario.edges.count))
        if (arm == "candidate") == bool(self._turn):
            return at if at >= 0 else self.lead.look().frame + 1
        self._note({"event": "bind", "live": True, "frame": at, "candidates": everywhere if arm == "candidate" else []})
        if arm == "baseline":
            number, self._turn = self._turn, 0
            self.lead.end([state for state in self._states() if state.number == number], "rollback")
            return at if at >= 0 else self._seen(number, "rolled_back_frame")
        self._turn = self.lead.swap(everywhere, self.trial.plan.candidate, at).number
        self._swaps.append(self._turn)
        if at < 0:
            self._seen(self._turn, "frame")
        else:
            self.lead.step()
        return self.breach() or (at if at >= 0 else self._seen(self._turn, "frame"))

    def _seen(self, number: int, what: str) -> int:
        """On the wall clock: the frame in which it came to something, or -1 if the swap came to nothing."""
        while True:
            (state,) = (each for each in self._states() if each.number == number)
            if getattr(state, what) >= 0 or state.stage == "failed":
                return int(getattr(state, what))
            self.lead.step()

    def breach(self) -> Incident | None:
        """What the candidate broke in the block that is under way."""
        found = [self._breach(state) for state in self._states() if state.number == self._turn]
        return found[0] if found else None

    # -- swaps ---------------------------------------------------------------------------------------------------------

    def _states(self) -> list[SwapState]:
        return [state for state in self.lead.states() if state.number in self._swaps]

    def _breach(self, state: SwapState) -> Incident | None:
        return breach_of(facts_of(state), max(state.frame, 0), self.lead.wall)

    def _book(self, index: int, live: LiveStage, state: SwapState, status: RunStatus) -> None:
        """Note how far a stage is; its delay is that of the slots since the first look after the take-over."""
        if state.frame < 0:
            return
        if live.from_frame < 0:
            self._tell(
                f"{self.name}: stage {live.kind}: edge {', '.join(map(str, live.edges))} from frame {state.frame} on"
            )
        live.from_frame, live.missed, live.held_s = state.frame, state.missed, state.held_s
        over = state.rolled_back_frame
        now = over if over >= 0 else (status.slot + 1) // self.scenario.slots_per_frame
        live.frames = now - state.frame
        if self._from is None:
            self._counts_from(index, status)  # on the wall clock nobody knows the very slot
        start, end = self._from, From.of(status)
        if start is not None and end.slot > start.slot:
            if end.done > start.done:
                cost_s = end.delay_s * end.done - start.delay_s * start.done
                live.run_delay = cost_s / (end.done - start.done)
            if self._twin is not None:
                live.twin_delay = self._twin.delay_s(start.slot + 1, end.slot + 1)

    def _back(self, stage: Stage, breach: Incident) -> Verdict:
        return self._broken(breach.guardrail, f"{breach.guardrail} on the live run (stage {stage.kind}): {breach.text}")

    def _broken(self, by: Guardrail, text: str) -> Verdict:
        self._note({"event": "bind", "live": True, "candidates": [], "by": by, "text": text})
        self._end("rollback")
        return Verdict("rolled_back", (text,), by)

    def _promoted(self) -> Verdict:
        frames = sum(live.frames for live in self.stages)
        before = self.trial.verdict
        held = f"held {frames} frames of the live run, {sum(live.missed for live in self.stages)} decisions missed"
        return Verdict("promoted", (*(before.reasons if before is not None else ()), held), "interval")

    def _end(self, how: Literal["drain", "rollback"]) -> None:
        self.lead.end(self._states(), how)


def _edges(state: SwapState) -> set[int]:
    return {part.edge for part in state.parts}


def scenario_of(client: Client, name: str) -> Scenario:
    """The scenario of a live run, which must be the one that the trial means.

    Raises: ScenarioError: it is another.
    """
    found = parse(client.call("setup", Query(), Setup).scenario, origin="the hub's scenario")
    if found.name != name:
        raise ScenarioError(
            f"scenario: the trial is of {name}, but the run at the hub is of {found.name}; give its trial"
        )
    if found.link:
        raise ScenarioError(
            f"{found.name}: emulated links do not lead to agents that come by a swap; leave out --hub, or start the "
            "run without [[link]]"
        )
    return found
