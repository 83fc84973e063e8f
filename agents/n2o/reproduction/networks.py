"""The trained networks of a case: made once, kept in the reproduction's folder, asked by every part."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np

from agents.checkpoint import CHECKPOINT, TRAINING, Arrays, read_arrays, write_arrays
from agents.errors import AgentError
from agents.n2o.checkpoint import Folder
from agents.n2o.copies import Floats
from agents.n2o.judge import EXPORT, exported
from agents.n2o.reproduction.measuring import Stops, Watch, blocks, preset_for, training_key, world_of
from agents.n2o.reproduction.plan import CENTRALIZED, Case
from agents.n2o.team import QTeam
from agents.n2o.train import learn
from agents.n2o.worlds import RentalCopies, copies_to_judge, copies_to_train
from agents.reproduction.crew import Stopped

WEIGHTS, SPENT = "weights.npz", "spent.json"


class Networks:
    """Networks of one training."""

    def __init__(self, trainings: Path, case: Case, part: str) -> None:
        """Name them; nothing is trained yet.

        Args:
            trainings: Folder of all trainings.
            case: The case.
            part: Says which method; see ``plan``.
        """
        self.case = case
        self._part = part
        self.folder = Folder(trainings / training_key(case, part))

    @cached_property
    def world(self) -> RentalCopies:
        """The copies that judge."""
        return copies_to_judge(world_of(self.case), self.case.judges)

    @cached_property
    def team(self) -> QTeam:
        """The local networks, exported."""
        layout = self.world.layout
        exported(self.folder, layout)
        return QTeam(self.folder.path / EXPORT, layout.graph, layout.actions)

    def train(self, stopped: Stops) -> None:
        """Train to the end; goes on where it was stopped.

        Raises: Stopped: it was asked to stop.
        """
        with locked(self.folder.path.with_suffix(".lock")):
            if not (self.folder.path / WEIGHTS).exists():
                self._train(stopped)

    def _train(self, stopped: Stops) -> None:
        path = self.folder.path
        from agents.n2o.joint import learner_of

        preset, scenario = preset_for(self.case, self._part), world_of(self.case)
        if not (path / TRAINING).exists():
            _cleared(path)
            Folder.create(path, scenario, preset)
        world = copies_to_train(scenario, preset.copies)
        learner = learner_of(preset, world.layout, scenario.seed)
        watch, before = Watch(), self.spent
        done = learn(self.folder, learner, world, world.layout, stopped=stopped)
        now = {"cpu_s": before[0] + watch.cpu_s, "wall_s": before[1] + watch.wall_s}
        (path / SPENT).write_text(json.dumps(now), encoding="utf-8")
        if done < preset.steps:
            raise Stopped
        if self._part != CENTRALIZED:
            exported(self.folder, world.layout)
        kept = {name: array for name, array in learner.arrays().items() if name.startswith("weights.")}
        write_arrays(path / WEIGHTS, kept)
        (path / CHECKPOINT).unlink()  # its replay is large, and nobody goes on from it

    @property
    def spent(self) -> tuple[float, float]:
        """Seconds of the process and of the clock that the training took so far."""
        try:
            found = json.loads((self.folder.path / SPENT).read_text(encoding="utf-8"))
        except OSError:
            return 0.0, 0.0
        return float(found["cpu_s"]), float(found["wall_s"])

    @property
    def weights(self) -> Arrays:
        """Of the trained networks.

        Raises: AgentError: they are not there.
        """
        found = read_arrays(self.folder.path / WEIGHTS)
        if found is None:
            raise AgentError(f"{self.folder.path}: has no weights; remove the folder, and it is trained again")
        return found

    def curve(self) -> dict[str, list[float]]:
        """The training: rewards of an episode, exploration included, and steps done by the end of each block."""
        preset = self.folder.preset()
        rows = self.folder.rows(preset.steps)
        rewards: Floats = np.array([row.reward for row in rows])
        steps = blocks(np.array([float(row.steps) for row in rows]))
        return {"curve": blocks(rewards), "steps": steps, "episodes": [float(len(rows))]}


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time train these networks; whoever waits finds them trained."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _cleared(path: Path) -> None:
    """Clear away a training that was stopped while its folder was made."""
    if path.exists():
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
