"""What a training's networks are worth in every way they can decide, on the same worlds as any other training's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from agents.errors import AgentError
from agents.extras import require_onnx, require_torch
from agents.n2o.checkpoint import Folder
from agents.n2o.copies import Copies, Decide, Played, played
from agents.n2o.layout import Layout
from agents.n2o.team import ActorTeam, QTeam
from agents.n2o.worlds import RentalCopies

if TYPE_CHECKING:
    from agents.n2o.learner import Learner

JUDGES, JUDGED_SLOTS = 128, 48
"""Copies of the world that judge what was learned, and at least so many slots in each."""

EXPORT = "onnx"
"""Where, in the folder of a training, its networks are exported to."""

ACTORS = "actors-"
"""What folders of actors distilled from it are called there, and then by their teacher."""

ORCHESTRATED = ("madql", "owner", "maxsum", "n2o", "exact")


def judged(world: Copies, decide: Decide) -> Played:
    """Play the judging episodes."""
    return played(world, decide, -(-JUDGED_SLOTS // world.episode_slots))


def trained_learner(folder: Folder, layout: Layout) -> Learner:
    """The learner of a training as it was last saved.

    Raises: AgentError: PyTorch is missing, or nothing was saved yet.
    """
    require_torch()
    from agents.n2o.joint import learner_of

    saved = folder.saved()
    if saved is None:
        raise AgentError(f"{folder.path}: has no checkpoint yet; let it train longer")
    learner = learner_of(folder.preset(), layout, folder.scenario().seed)
    learner.restore(saved[1])
    return learner


def exported(folder: Folder, layout: Layout, out: Path | None = None) -> tuple[Path, str]:
    """Export a training's local Q-networks, unless they are there already.

    Args:
        folder: Of the training.
        layout: Of its world.
        out: A folder to make; without it, one in the training's folder, which may be there.
    Returns: Where they are, and how they compare with PyTorch; nothing if they were there.
    Raises: AgentError: it has no local Q-networks, or PyTorch or onnx are missing; RunFolderError: ``out`` exists.
    """
    preset, scenario = folder.preset(), folder.scenario()
    if preset.method == "centralized":
        raise AgentError(
            f"{folder.path}: one centralised network decides for all; there are no local networks to export; "
            "train with --method madql"
        )
    into = out or folder.path / EXPORT
    if out is None and (into / "manifest.toml").exists():
        return into, ""
    require_torch()
    require_onnx()
    from agents.n2o.export import export_q

    learner = trained_learner(folder, layout)
    saved = folder.saved()
    steps = saved[0] if saved else 0
    trained = f"{scenario.name}, {preset.method}, seed {scenario.seed}, {steps} steps"
    compared = export_q(learner.weights, layout, preset.hidden, trained, into)
    return into, str(compared)


def deciders(folder: Folder, world: RentalCopies, by: tuple[str, ...]) -> Iterator[tuple[str, Decide]]:
    """Every way in which a training's networks can decide, by name; those of ``by``, or all that are known.

    Raises: AgentError: a way is asked for that this training does not have.
    """
    layout = world.layout
    if folder.preset().method == "centralized":
        learner = trained_learner(folder, layout)
        yield "centralized", lambda seen: learner.greedy(layout.scaled(seen))
        return
    where, _ = exported(folder, layout)
    team = QTeam(where, layout.graph, layout.actions)
    actors = [path.name for path in sorted(folder.path.glob(f"{ACTORS}*")) if path.is_dir()]
    for name in by or (*ORCHESTRATED, *actors):
        if name in actors:
            yield name, ActorTeam(folder.path / name, layout.graph, layout.actions).decide
        else:
            yield name, team.decider(name)
