"""`edgerig topic`: all its commands, each from the module of its kind."""

from __future__ import annotations

from emulator.cli.publishing import pub_command
from emulator.cli.rates import bw_command, delay_command
from emulator.cli.topics import topic_group
from emulator.cli.two_ends import info_command

for command in (info_command, bw_command, delay_command, pub_command):
    topic_group.add_command(command)

COMMANDS = [topic_group]
