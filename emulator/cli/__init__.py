"""The command line: every command in the module that holds its kind, loaded when it is called."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

import click

from agents.errors import AgentError
from bus.errors import BusError
from emulator.errors import RunFolderError, ScenarioError

USAGE, LOST, BROKEN, INTERRUPTED = 2, 3, 4, 130

MODULES: Final = {
    "run": "running",
    "sim": "running",
    "demo": "demo",
    "compare": "demo",
    "check": "scenarios",
    "schema": "scenarios",
    "import": "traces",
    "inspect": "traces",
    "node": "nodes",
    "topic": "topics",
    "graph": "nodes",
    "doctor": "doctor",
    "bench": "bench",
}


class Commands(click.Group):
    """Loads the module of a command when the command is asked for: `--help` and a short command stay quick."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; a reader (head, say) that has seen enough is no error, though click would exit with 1."""
        try:
            result: object = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order a newcomer meets them."""
        return list(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One command; None if there is none of that name."""
        module = MODULES.get(cmd_name)
        if module is None:
            return None
        commands: list[click.Command] = import_module(f"emulator.cli.{module}").COMMANDS
        return next((command for command in commands if command.name == cmd_name), None)


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="edgerig")
def root() -> None:
    """A ROS-like message-bus testbed for mobile-edge control stacks."""


def run_command(arguments: Sequence[str]) -> int:
    """Run a command line; returns its exit code. What people did wrong is a line or more, never a traceback."""
    try:
        code = root.main(list(arguments), prog_name="edgerig", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.Abort:
        return _say("interrupted", INTERRUPTED)
    except click.ClickException as error:
        error.show()
        return USAGE
    except click.exceptions.Exit as error:
        return error.exit_code
    except (ScenarioError, AgentError, RunFolderError) as error:
        return _say(str(error), USAGE)
    except BusError as error:
        return _say(str(error), LOST)
    except KeyboardInterrupt:
        return _say("interrupted", INTERRUPTED)
    except ValueError as error:
        from emulator.model.ledger import Broken  # here, because it brings NumPy, which short commands do without

        if isinstance(error, Broken):
            return _say(f"invariant broken: {error}", BROKEN)
        raise


def _say(text: str, code: int) -> int:
    click.echo(text, err=True)
    return code
