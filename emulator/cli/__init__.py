"""The command line: every command in the module that holds its kind, loaded when it is called."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

import click

from agents.errors import AgentError
from bus.errors import BusError, KeyRefused, KeystoreError
from emulator.errors import RunFolderError, ScenarioError

USAGE, LOST, BROKEN, INTERRUPTED = 2, 3, 4, 130

MODULES: Final = {
    "run": ("running", "Run a scenario as processes on the bus."),
    "sim": ("running", "Run a scenario in this process: the same numbers, much faster."),
    "demo": ("demo", "The main job: several schemes on the bus, side by side."),
    "report": ("reporting", "Write what a run or a trial came to as one HTML page, and as JSON."),
    "compare": ("reporting", "Put runs side by side: differences with intervals, as a table and as a page."),
    "check": ("scenarios", "Say everything that is wrong with a scenario, each with its place."),
    "schema": ("scenarios", "Print the JSON schema of scenarios, or list the shipped ones."),
    "import": ("traces", "Turn real traces into canonical demand."),
    "inspect": ("traces", "Show what canonical demand holds and where it comes from."),
    "hub": ("hubs", "Run a hub for nodes of your own, without a run."),
    "node": ("nodes", "Nodes of a live run: list them, look at one, start one."),
    "topic": ("topic", "Topics of a live run: list, print, measure, publish."),
    "bag": ("bag", "Record a live run into an MCAP file, look at it, compare it, play it again."),
    "interface": ("interfaces", "Message types: list them, show their fields."),
    "call": ("calling", "Call any method that a node of a live run serves."),
    "param": ("parameters", "Settings of live nodes: list, get, set, dump, load."),
    "log": ("logged", "What the processes of a live run log, as they log it."),
    "graph": ("nodes", "Draw who sends what to whom in a live run."),
    "top": ("top", "A live table of the processes: rates, bytes, lag, memory, state."),
    "clock": ("clock", "Where the run's time stands, and who holds it back."),
    "swap": ("swapping", "Let other agents decide for edge servers of a live run, without a missed decision."),
    "reset": ("reset", "Start a live run again at slot 0 with another seed, in its processes."),
    "link": ("link", "Emulated links of a live run: how they measure; set, cut and heal them."),
    "doctor": ("doctor", "Say what is wrong with this machine and the live run, and the remedy."),
    "compose": ("containers", "Write a compose file for a scenario: a container for each process."),
    "completion": ("completion", "Print the completion script of a shell."),
    "keys": ("keys", "Keys: who may join a run, and as what."),
    "trial": ("trials", "Hold a trial: a candidate against a baseline, in stages, with a verdict."),
    "agent": ("agents", "Agents of your own: check that a program keeps to the protocol."),
    "train": ("learning", "Train agents."),
    "distill": ("learning", "Turn planners that search into small actors that answer at once."),
    "export": ("learning", "Turn trained agents into ONNX files."),
    "evaluate": ("learning", "What trained agents are worth, side by side."),
    "reproduce": ("reproducing", "Measure what a paper shows, and say which of it holds."),
    "bench": ("bench", "Measure: how fast, how exact, how large."),
}
"""Each command: the module that holds it, and its line in the help, so that help loads none of them."""


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

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in the help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in MODULES.items()])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One command; None if there is none of that name."""
        if cmd_name not in MODULES:
            return None
        commands: list[click.Command] = import_module(f"emulator.cli.{MODULES[cmd_name][0]}").COMMANDS
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
    except (ScenarioError, AgentError, RunFolderError, KeystoreError, KeyRefused) as error:
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
