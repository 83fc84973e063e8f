"""Holds a trial: run after run until its verdict, with a journal to go on from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec

from agents.manifest import load as load_manifest
from emulator.errors import RunFolderError
from emulator.scenario import Scenario
from emulator.specs import is_program, manifest_of
from emulator.trials import live_state
from emulator.trials.episode import Note
from emulator.trials.journal import Journal, read, runs_of
from emulator.trials.live_state import Line
from emulator.trials.plan import Plan
from emulator.trials.rules import RunFigures, Trial, Verdict

FORMAT = 1


class Facts(Protocol):
    """What is known of a trial while it is held, and what its answer is made of."""

    mode: str
    plan: Plan
    scenario: Scenario
    trial: Trial
    live: dict[str, Any] | None
    """What a live run showed, where the trial went on in one."""


class Player(Protocol):
    """Makes the worlds of a trial, in this process or on the bus."""

    def play(self, index: int, seed: int, note: Note) -> RunFigures:
        """Play the run of a stage and its twin; ``note`` is told every binding before it holds."""
        ...


class Driver(Facts, Player, Protocol):
    """A trial with worlds of its own."""


@dataclass(frozen=True)
class Progress:
    """How far a trial is: runs that are over, runs at most, and what comes next."""

    done: int
    planned: int
    stage: str
    seed: int


def identity(driver: Facts) -> dict[str, Any]:
    """What makes a trial this one: a journal of another one is not gone on from."""
    plan = msgspec.to_builtins(driver.plan)
    files = {
        name: load_manifest(manifest_of(spec)).sha256
        for name in ("baseline", "candidate")
        if is_program(spec := plan[name])
    }
    text = msgspec.json.encode([FORMAT, plan, files, msgspec.to_builtins(driver.scenario)], order="deterministic")
    return {"event": "trial", "format": FORMAT, "name": driver.plan.name, "sha256": hashlib.sha256(text).hexdigest()}


Live = Callable[[Note, Sequence[Line]], Verdict]
"""Leads a live run through the stages once the candidate has done well beside it; the last word is its.

The lines are those of the journal so far.
"""


def hold(driver: Driver, folder: Path, on_progress: Callable[[Progress], None], live: Live | None = None) -> None:
    """Hold a trial to its end, or go on with one whose journal is in the folder.

    Args:
        driver: Of the trial; afterwards ``driver.trial`` has its verdict.
        folder: Where the journal is.
        on_progress: Told before each run.
        live: Goes on with a candidate that would be promoted.
    Raises: RunFolderError: the journal is of another trial, or cannot be written.
    """
    trial, began = driver.trial, identity(driver)
    with Journal(folder) as journal:
        lines: list[Line] = []
        if journal.path.stat().st_size == 0:
            journal.note(began)
        else:
            lines = read(folder)
            live_state.check(lines, folder, live=live is not None)
            _go_on(trial, folder, lines, began)
        while (order := trial.next_run()) is not None:
            index, seed = order
            stage = trial.plan.stage[index]
            on_progress(Progress(len(trial.results), trial.runs_planned(), stage.kind, seed))
            result = driver.play(index, seed, journal.note)
            journal.finished(result)
            trial.take(result)
        if live is not None and trial.verdict is not None and trial.verdict.word == "promoted":
            trial.verdict = live(journal.note, lines)
        _close(journal, trial)


def hold_live(facts: Facts, folder: Path, live: Live) -> None:
    """Hold a trial that has nothing but a live run.

    Args:
        facts: Of the trial; afterwards ``facts.trial`` has its verdict.
        folder: Where the journal is.
        live: Leads the run.
    Raises: RunFolderError: it has been begun before, or cannot be written.
    """
    with Journal(folder) as journal:
        if journal.path.stat().st_size:
            raise RunFolderError(f"{folder}: the live run has gone on since; hold the switchback anew into another one")
        journal.note(identity(facts))
        facts.trial.verdict = live(journal.note, ())
        _close(journal, facts.trial)


def _close(journal: Journal, trial: Trial) -> None:
    if trial.verdict is not None and trial.verdict.word != "promoted":
        journal.note({"event": "bind", "candidates": []})
    journal.note({"event": "verdict", "verdict": trial.verdict.word if trial.verdict else ""})


def _go_on(trial: Trial, folder: Path, lines: list[Line], began: Line) -> None:
    if lines[0] != began:
        raise RunFolderError(
            f"{folder}: is of another trial, or its scenario or agents have changed, or it was held with other options "
            "(--bus, --rate, --hub); start again into another folder"
        )
    for result in runs_of(lines, folder):
        if trial.verdict is None:
            trial.take(result)
