"""Actors distilled from a case's networks, and what an episode is worth when they decide."""

from __future__ import annotations

import shutil
from typing import Final

from agents.n2o.copies import played
from agents.n2o.judge import JUDGED_SLOTS
from agents.n2o.presets import Distilling
from agents.n2o.reproduction.measuring import Found
from agents.n2o.reproduction.networks import Networks
from agents.n2o.team import ActorTeam
from agents.n2o.worlds import copies_to_train

AS_PUBLISHED: Final = Distilling(actor="regression", rounds=0)
"""One number, rounded, taught on the teacher's own slots only."""

OURS: Final = Distilling()


def from_n2o(networks: Networks) -> Found:
    """As the paper does it: N2O as published teaches."""
    return _distilled(networks, "n2o", AS_PUBLISHED)


def from_max_sum(networks: Networks) -> Found:
    """As we do it: max-sum teaches a classification, in rounds."""
    return _distilled(networks, "maxsum", OURS)


def _distilled(networks: Networks, teacher: str, distilling: Distilling) -> Found:
    from agents.n2o.distil import taught
    from agents.n2o.export import export_actors

    preset, scenario = networks.folder.preset(), networks.folder.scenario()
    world = copies_to_train(scenario, preset.copies)
    layout = world.layout
    actors = taught(distilling, layout, world, networks.team.decider(teacher), scenario.seed)
    out = networks.folder.path / f"actors-{teacher}"
    shutil.rmtree(out, ignore_errors=True)
    export_actors(actors, f"{scenario.name}, by {teacher}, seed {scenario.seed}", out)
    judges = networks.world
    team = ActorTeam(out, layout.graph, layout.actions)
    return Found(played(judges, team.decide, -(-JUDGED_SLOTS // judges.episode_slots)), judges.copies)
