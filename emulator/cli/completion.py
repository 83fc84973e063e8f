"""Shell completion: the script for a shell, and the names of the live run that it offers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import click
from click.shell_completion import CompletionItem, get_completion_class

from bus.errors import BusError
from bus.messages import Peer

SHELLS = ("bash", "zsh", "fish")
PATIENCE_S = 0.5
"""A Tab key that takes longer is a nuisance."""

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def completion_command(shell: str) -> None:
    """Print the completion script of SHELL, for `eval "$(edgerig completion bash)"` in its start file."""
    made = get_completion_class(shell)
    if made is None:
        raise click.ClickException(f"no completion for {shell}; there is {', '.join(SHELLS)}")
    from emulator.cli import root

    click.echo(made(root, {}, "edgerig", "_EDGERIG_COMPLETE").source())


def _offering(names: Callable[[Iterable[Peer]], Iterable[str]]) -> Complete:
    """Complete to names of the live run; where there is none, to nothing."""

    def complete(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from emulator.cli.finding import asking, find

        hub, folder = ctx.params.get("hub"), ctx.params.get("folder")
        try:
            with asking(find(hub, Path(folder) if folder is not None else None), PATIENCE_S) as client:
                found = sorted({name for name in names(client.peers()) if name.startswith(incomplete)})
        except (click.ClickException, BusError, OSError):
            return []
        return [CompletionItem(name) for name in found]

    return complete


complete_topic = _offering(
    lambda peers: (
        record.topic for peer in peers for node in peer.nodes for record in (*node.publishes, *node.subscribes)
    )
)
complete_node = _offering(lambda peers: (node.name for peer in peers for node in peer.nodes))

COMMANDS = [completion_command]
