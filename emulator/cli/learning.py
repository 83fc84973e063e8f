"""`edgerig train`, `distill`, `export`, `evaluate`: a command for each kind of agents, kept with others of its kind."""

from __future__ import annotations

import click

from emulator.cli import learning_ddpg, learning_distill, learning_n2o, learning_n2o_after, learning_ttosc


@click.group("train")
def train_group() -> None:
    """Train agents."""


@click.group("distill")
def distill_group() -> None:
    """Turn planners into small actors."""


@click.group("export")
def export_group() -> None:
    """Turn trained agents into files that run without PyTorch."""


@click.group("evaluate")
def evaluate_group() -> None:
    """What trained agents are worth."""


for kind in (learning_ttosc, learning_ddpg, learning_n2o):
    train_group.add_command(kind.train_command)
for exported in (learning_ttosc, learning_ddpg, learning_n2o_after):
    export_group.add_command(exported.export_command)
distill_group.add_command(learning_distill.distill_command)
distill_group.add_command(learning_n2o_after.distill_command)
evaluate_group.add_command(learning_n2o_after.evaluate_command)

COMMANDS = [train_group, distill_group, export_group, evaluate_group]
