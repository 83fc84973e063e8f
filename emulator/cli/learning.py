"""`edgerig train`, `edgerig export`: a command for each kind of agents, kept with the others of its kind."""

from __future__ import annotations

import click

from emulator.cli import learning_ddpg, learning_n2o, learning_ttosc


@click.group("train")
def train_group() -> None:
    """Train agents."""


@click.group("export")
def export_group() -> None:
    """Turn trained agents into files that run without PyTorch."""


for kind in (learning_ttosc, learning_ddpg, learning_n2o):
    train_group.add_command(kind.train_command)
for exported in (learning_ttosc, learning_ddpg):
    export_group.add_command(exported.export_command)

COMMANDS = [train_group, export_group]
