"""How tools find the run they look at: --hub, --run, EDGERIG_HUB, the newest live run; and what its hub tells."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from bus.client import Client
from bus.credentials import LAUNCHER, OBSERVER, Keys
from bus.errors import BusError, CallFailed, CallTimeout
from bus.messages import NodeState, NodeStates, Peer, Query, RunStatus, Status
from emulator import keys

F = TypeVar("F", bound=Callable[..., Any])

ANSWER_S = 2.0
"""How long a tool waits for the hub's answer, seconds of wall time."""

MOST_SILENT = 3
ADDRESS = re.compile(r"tcp://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):([0-9]{1,5})")
REMEDY = "start one with `edgerig run quickstart`, or name one with --run DIR or --hub tcp://HOST:PORT"


class HubSilent(BusError):
    """No hub answers at an address."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"no hub answers at {address}: {reason}")
        self.address = address


@dataclass(frozen=True)
class Run:
    """A live run: the hub's address, and the run folder if we found it there."""

    address: str
    folder: Path | None = None
    keystore: Path | None = None

    def keys(self, role: str = OBSERVER) -> Keys | None:
        """What a tool joins this run with, as an observer who shows a role's key; None where no keys are in use."""
        return keys.keys_of(role, self.keystore)

    def role(self) -> str:
        """Whose key a tool shows that does what it is told: the launcher's where it is here, else the observer's."""
        store = keys.keystore(self.keystore)
        return LAUNCHER if store is not None and store.has(LAUNCHER) else OBSERVER


@dataclass(frozen=True)
class State:
    """What the hub tells of a run at one moment; run is None where the hub conducts nothing."""

    peers: tuple[Peer, ...]
    status: Status
    run: RunStatus | None
    nodes: dict[str, NodeState]
    """The lifecycle state of every node that there is, was, or should be, by name."""


def keys_option(command: F) -> F:
    """Add --keys to a command: whatever it starts or asks uses that keystore."""

    def chosen(_context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
        if value is not None:
            keys.use(value)

    option = click.option(
        "--keys",
        metavar="DIR",
        expose_value=False,
        is_eager=True,
        callback=chosen,
        help="The keystore.  [default: EDGERIG_KEYS, or the run's own]",
    )
    return option(command)


def hub_options(command: F) -> F:
    """Add --hub, --run and --keys to a command."""
    command = keys_option(command)
    command = click.option(
        "--run", "folder", metavar="DIR", type=click.Path(path_type=Path), help="The run of that folder."
    )(command)
    return click.option(
        "--hub", metavar="ADDRESS", help="The hub, tcp://HOST:PORT.  [default: EDGERIG_HUB, or newest]"
    )(command)


def find(hub: str | None, folder: Path | None) -> Run:
    """The run that the options mean, or the newest that lives.

    Raises: click.ClickException: none, or an address or folder that is none. HubSilent: the named one is dead.
    """
    if hub is not None and folder is not None:
        raise click.ClickException("--hub and --run: give one of them")
    if hub is not None:
        return Run(checked(hub, "--hub"))
    if folder is not None:
        return _of_folder(folder)
    given = os.environ.get("EDGERIG_HUB")
    if given:
        return Run(checked(given, "EDGERIG_HUB"))
    return _newest()


def checked(address: str, origin: str) -> str:
    """An address that can be connected to.

    Raises: click.ClickException: it is not of the form tcp://HOST:PORT.
    """
    match = ADDRESS.fullmatch(address)
    if match is None or not 0 < int(match[2]) < 65536:
        raise click.ClickException(f"{origin} {address}: must be tcp://HOST:PORT, as in RUN/hub.json")
    return address


@contextlib.contextmanager
def asking(run: Run, deadline_s: float = ANSWER_S, role: str = OBSERVER) -> Iterator[Client]:
    """A client of a run's hub; one that falls silent is named by its address.

    With keys it shows that of a role: an observer reads, the launcher changes.
    """
    try:
        with Client(run.address, deadline_s, credential=keys.credential_of(role, run.keystore)) as client:
            yield client
    except CallTimeout as error:
        passed = f"call {error.method!r} got no reply within {error.deadline_s:g} s"
        raise HubSilent(run.address, f"{passed}; the run has ended, or the address is wrong") from None


def look(run: Run, deadline_s: float = ANSWER_S) -> State:
    """Ask a run's hub for everything.

    Raises: HubSilent: it does not answer.
    """
    with asking(run, deadline_s) as client:
        peers, status, progress = client.peers(), client.status(), run_status(client)
        states = client.call("node_states", Query(), NodeStates)
        return State(peers, status, progress, {each.node: each for each in states.nodes})


def run_status(client: Client) -> RunStatus | None:
    """How far the run is; None where the hub conducts nothing."""
    try:
        return client.call("run_status", Query(), RunStatus)
    except CallFailed:
        return None


# -- folders -----------------------------------------------------------------------------------------------------------


def _of_folder(folder: Path) -> Run:
    found = _read(folder / "hub.json")
    if found is None:
        raise click.ClickException(
            f"{folder / 'hub.json'}: cannot be read; is {folder} the folder of a run on the bus?"
        )
    address, pid = found
    if _is_dead(address, pid):
        raise HubSilent(address, f"the run in {folder} has ended (its hub, process {pid}, is gone)")
    return Run(address, folder, _keystore(folder))


def _newest() -> Run:
    live: list[Run] = []
    silent = 0
    for path in _hub_files():
        found = _read(path)
        if found is None or _is_dead(*found):
            continue
        if live or _answers(*found, _keystore(path.parent)):
            live.append(Run(found[0], path.parent, _keystore(path.parent)))
        else:
            silent += 1
            if silent == MOST_SILENT:
                break
    if not live:
        raise click.ClickException(f"no live run here (looked for hub.json in . and runs/*); {REMEDY}")
    if len(live) > 1:
        others = len(live) - 1
        click.echo(f"took {live[0].folder}, the newest; {others} more may be live (--run DIR)", err=True)
    return live[0]


def _hub_files() -> list[Path]:
    """Where a run may have said where its hub is, newest first."""
    dated = []
    for path in [Path("hub.json"), *Path("runs").glob("*/hub.json")]:
        with contextlib.suppress(OSError):
            dated.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(dated, reverse=True)]


def _read(path: Path) -> tuple[str, int] | None:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        address, pid = document["hub"], document["pid"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    fits = isinstance(address, str) and ADDRESS.fullmatch(address) is not None and isinstance(pid, int)
    return (address, pid) if fits else None


def _is_dead(address: str, pid: int) -> bool:
    """Whether a hub on this machine has ended; of others we know nothing before we ask."""
    if not address.startswith("tcp://127."):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _keystore(folder: Path) -> Path | None:
    """The keystore that a run says it uses, unless another is given."""
    if os.environ.get(keys.VARIABLE):
        return None
    try:
        place = json.loads((folder / "hub.json").read_text(encoding="utf-8")).get("keys")
    except (OSError, ValueError, AttributeError):
        return None
    return Path(place) if isinstance(place, str) else None


def _answers(address: str, pid: int, place: Path | None) -> bool:
    """Whether that very hub answers: its port may be another's by now."""
    try:
        with Client(address, ANSWER_S / 2.0, credential=keys.credential_of(OBSERVER, place)) as client:
            hub = next((peer for peer in client.peers() if peer.process == "hub"), None)
    except BusError:
        return False
    return hub is None or hub.pid == pid
