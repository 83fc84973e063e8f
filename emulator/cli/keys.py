"""`edgerig keys`: make a keystore, look at it, renew and revoke what is in it, on a live run too."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import click

from bus.credentials import HUB, KEYED_ROLES, LAUNCHER
from bus.keystore import Keystore
from bus.messages import BeatAck, Revoke
from emulator.cli.columns import columns, width
from emulator.cli.finding import asking, find, hub_options
from emulator.keys import keystore


@click.group("keys")
def keys_group() -> None:
    """Keys: who may join a run, and as what."""


def _folder_argument(folder: Path | None) -> Keystore:
    store = keystore(folder)
    if store is None:
        raise click.ClickException("no keystore; name its folder, or set EDGERIG_KEYS")
    return store


FOLDER = click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))


@keys_group.command("create")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--if-missing", is_flag=True, help="Leave a keystore that is there already as it is.")
def create_command(folder: Path, if_missing: bool) -> None:
    """Make a keystore in DIR: a key pair for the hub, and an enrolment pair for each role."""
    if if_missing and folder.is_dir() and Keystore(folder).has(HUB):
        click.echo(f"{folder}: a keystore is there already")
        return
    store = Keystore.create(folder)
    click.echo(f"{store.folder}: keys of {', '.join(KEYED_ROLES)}")
    click.echo(f"use it: edgerig run quickstart --keys {store.folder}")


@keys_group.command("list")
@FOLDER
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def list_command(folder: Path | None, as_json: bool) -> None:
    """List the keys of a keystore by fingerprint. No secret is shown."""
    store = _folder_argument(folder)
    listed = store.roles()
    if as_json:
        keys = [
            {"role": each.role, "public": each.public, "made": each.made, "secret_here": each.secret_here}
            for each in listed
        ]
        document = {"folder": str(store.folder), "keys": keys, "revoked": sorted(store.revoked())}
        click.echo(json.dumps(document, indent=2))
        return
    rows = [[each.role, _print(each.public), each.made, "yes" if each.secret_here else "no"] for each in listed]
    click.echo("\n".join(columns(("ROLE", "FINGERPRINT", "MADE", "SECRET HERE"), rows, width(), ("MADE",))))
    if store.revoked():
        click.echo(f"revoked: {', '.join(_print(key) for key in sorted(store.revoked()))}")


def _print(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:16]


@keys_group.command("rotate")
@FOLDER
@click.argument("roles", nargs=-1, metavar="[ROLE]...")
def rotate_command(folder: Path | None, roles: tuple[str, ...]) -> None:
    """Give each ROLE (by default all but the hub) a new enrolment key; a live hub follows, who is in stays in."""
    if folder is not None and str(folder) in KEYED_ROLES and not folder.exists():
        folder, roles = None, (str(folder), *roles)
    store = _folder_argument(folder)
    chosen = roles or tuple(each.role for each in store.roles() if each.role != HUB)
    _check(chosen)
    store.rotate(chosen)
    click.echo(f"{store.folder}: new keys of {', '.join(chosen)}; a hub that runs takes them within a second")
    if HUB in chosen:
        click.echo("the hub's own key is new from its next start on; give the others its hub.pub", err=True)


@keys_group.command("revoke")
@click.argument("name", metavar="ROLE|NODE|PROCESS")
@hub_options
def revoke_command(name: str, hub: str | None, folder: Path | None) -> None:
    """Make ROLE's enrolment key worthless and cut off all it let in; or cut one node's process off a live run."""
    if name in KEYED_ROLES:
        if name == HUB:
            raise click.ClickException("the hub's key is not an enrolment key; stop the run, and rotate it")
        store = _folder_argument(None)
        key = store.revoke(name)
        click.echo(f"{store.folder}: the key of {name} ({_print(key)}) is revoked; `edgerig keys rotate` makes another")
        return
    with asking(find(hub, folder), role=LAUNCHER) as client:
        if not client.call("revoke", Revoke(name), BeatAck).known:
            raise click.ClickException(f"nobody holds {name}; see `edgerig node list`")
    click.echo(f"{name} is cut off, and its key is worth nothing any more")


def _check(roles: tuple[str, ...]) -> None:
    unknown = [role for role in roles if role not in KEYED_ROLES]
    if unknown:
        raise click.ClickException(f"no role {', '.join(unknown)}; roles are {', '.join(KEYED_ROLES)}")


COMMANDS = [keys_group]
