"""From a training to actors that decide alone: taught by how its networks decide together, judged, and exported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agents.extras import require_onnx, require_torch
from agents.n2o.checkpoint import Folder
from agents.n2o.copies import Played
from agents.n2o.judge import ACTORS, JUDGES, exported, judged
from agents.n2o.presets import Distilling
from agents.n2o.run_labels import labels_in
from agents.n2o.team import ActorTeam, QTeam
from agents.n2o.worlds import RentalCopies, copies_to_judge, copies_to_train


@dataclass(frozen=True, slots=True)
class Taught:
    """How it went.

    Attributes:
        folder: Of the actors.
        teacher: What the teacher is worth.
        actors: What the exported actors are worth, on the same worlds.
        compared: How the files compare with PyTorch.
    """

    folder: Path
    teacher: Played
    actors: Played
    compared: str


def teach(
    folder: Folder,
    teacher: str,
    distilling: Distilling,
    out: Path | None = None,
    tell: Callable[[str], None] = lambda text: None,
    runs: Sequence[Path] = (),
) -> Taught:
    """Teach, export and judge.

    Args:
        folder: Of a training with local networks.
        teacher: How its networks decide; a spec of ``QTeam.decider``.
        distilling: How actors are taught.
        out: The folder to make; without it, one in the training's folder, named by the teacher.
        tell: Hears how far it is.
        runs: Folders of runs to take the first labels from; none: the teacher plays for them.
    Raises: AgentError: no such teacher, no local networks, runs of another world, PyTorch or onnx missing;
        RunFolderError: the folder exists.
    """
    require_torch()
    require_onnx()
    from agents.n2o.distil import Labels, taught
    from agents.n2o.export import export_actors

    scenario = folder.scenario()
    world: RentalCopies = copies_to_train(scenario, folder.preset().copies)
    layout = world.layout
    where, _ = exported(folder, layout)
    decide = QTeam(where, layout.graph, layout.actions).decider(teacher)
    into = out or folder.path / f"{ACTORS}{teacher.replace(':', '-').replace(',', '-')}"
    found = [labels_in(run, layout) for run in runs]
    labels = None
    if found:
        seen, rented = (np.concatenate(each) for each in zip(*found, strict=True))
        labels = Labels(layout.scaled(seen), rented)
    actors = taught(distilling, layout, world, decide, scenario.seed, tell, labels)
    trained = f"{scenario.name}, by {teacher} of {folder.preset().method}, {distilling.actor}, seed {scenario.seed}"
    compared = export_actors(actors, trained, into)
    tell("exported; now teacher and actors are judged")
    judges = copies_to_judge(scenario, JUDGES)
    team = ActorTeam(into, layout.graph, layout.actions)
    return Taught(into, judged(judges, decide), judged(judges, team.decide), str(compared))
