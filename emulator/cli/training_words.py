"""What trainings that are counted in frames say on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agents.errors import AgentError
from agents.training import Progress
from emulator.cli.progress import tell
from emulator.cli.trainings import clock


def from_the_start(scenario: str | None, changes: tuple[str, ...], *, resume: bool) -> str | None:
    """The scenario to begin with, or None to go on.

    Raises: AgentError: what was given does not go together.
    """
    if resume:
        if scenario is not None or changes:
            raise AgentError("--resume: the scenario is the one in the folder; leave out SCENARIO and --set")
        return None
    if scenario is None:
        raise AgentError("train: name a SCENARIO, or go on with --resume; `edgerig schema --names` lists them")
    return scenario


def telling(path: Path) -> Callable[[Progress], None]:
    """Says how far the training in a folder is."""

    def told(progress: Progress) -> None:
        done = f"frame {progress.frame} of {progress.frames}, delay {progress.delay_s:.3f} s of late"
        tell(f"{path}: {done}, {clock(progress.left_s)} left")

    return told


def stopped_early(path: Path, frames: int, wanted: int) -> str:
    """What became of a training that was stopped, and how to go on."""
    return f"{path}: stopped after {frames} of {wanted} frames; --out {path} --resume goes on"
