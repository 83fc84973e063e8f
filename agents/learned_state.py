"""What an agent that learns while it decides keeps of it, in either world: one file of its edge server in a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
import numpy as np

from agents.checkpoint import Arrays, read_arrays, write_arrays
from agents.errors import AgentError
from emulator.folder import state_of

STATE: Final = "state.npz"
LEARNED: Final = "learned"
Preset = TypeVar("Preset")


class Start(NamedTuple):
    """Where learning begins.

    Attributes:
        preset: How to learn.
        steps: Frames or slots, or steps of a training, that were learned from before; exploration, learning rate and
            all draws go on from there.
        arrays: What the learner goes on from; None: random weights.
    """

    preset: Any
    steps: int = 0
    arrays: Arrays | None = None


def facts_of(edge: int, seed: int, start: Start, world: str) -> Arrays:
    """What a state is of: who learns, from where, and in which world."""
    return {
        "edge": np.array(edge),
        "seed": np.array(seed),
        "begun_at": np.array(start.steps),
        "preset": np.array(msgspec.json.encode(start.preset).decode()),
        "world": np.array(world),
    }


def keep(folder: Path, arrays: Arrays, facts: Arrays, learned: int) -> None:
    """Keep all that learning goes on from, and up to which step it came; whole, or as it was before.

    Raises: AgentError: the disk does not take it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_arrays(folder / STATE, {**arrays, **facts, LEARNED: np.array(learned)})
    except OSError as error:
        text = f"{folder / STATE}: what was learned cannot be kept ({error.strerror}); make room"
        raise AgentError(text) from None


def take_up(folder: Path | None, facts: Arrays) -> tuple[int, Arrays] | None:
    """What was kept in that folder, and up to which step; None: nothing, or another seed's or world's."""
    saved = None if folder is None else read_arrays(folder / STATE)
    if saved is None or any(str(saved.get(name)) != str(value) for name, value in facts.items()):
        return None
    return int(saved[LEARNED]), saved


def state_path(run: Path, edge: int) -> Path:
    """Where an agent of a run keeps what it learned."""
    return state_of(run, edge) / STATE


def read_run(run: Path, edge: int, preset_type: type[Preset]) -> tuple[Preset, int, str, Arrays] | None:
    """What an agent of a run learned: how, up to which step, in which world, and all that learning goes on from.

    Raises: AgentError: what it kept cannot be read. Returns None if it kept nothing.
    """
    path = state_path(run, edge)
    saved = read_arrays(path)
    if saved is None:
        return None
    try:
        preset = msgspec.json.decode(str(saved["preset"]), type=preset_type)
        return preset, int(saved[LEARNED]), str(saved["world"]), saved
    except (KeyError, ValueError, msgspec.ValidationError) as error:
        raise AgentError(f"{path}: cannot be read ({error}); learn again") from None
