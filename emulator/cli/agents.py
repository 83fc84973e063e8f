"""`edgerig agent`: programs that decide, and whether they keep to the protocol."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from agents.manifest import Found, load, warning_of
from agents.signing import KEYRING, make_key, read_keyring, sign_manifest
from emulator.cli import USAGE
from emulator.specs import is_program, manifest_of

if TYPE_CHECKING:
    from emulator.conformance_ours import Ours

SEES: Final = {"local": "its own cell", "network": "all cells"}
F = TypeVar("F", bound=Callable[..., Any])


@click.group("agent")
def agent_group() -> None:
    """Agents of your own."""


def require_signed_option(command: F) -> F:
    """Add ``--require-signed`` to a command that starts programs."""
    return click.option(
        "--require-signed",
        metavar="KEYRING",
        type=click.Path(path_type=Path),
        envvar=KEYRING,
        expose_value=False,
        is_eager=True,
        callback=_use_keyring,
        help="Start only agents that are signed by a key of this file (see `edgerig agent sign`).",
    )(command)


def _use_keyring(_context: click.Context, _option: click.Parameter, keyring: Path | None) -> None:
    # Whatever reads a manifest from here on, in this process and in those that it starts, looks at the signature.
    if keyring is not None:
        read_keyring(keyring)
        os.environ[KEYRING] = str(keyring.resolve())


@agent_group.command("key")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--name", default=getpass.getuser, help="Whose key it is.  [default: the user]")
def key_command(path: Path, name: str) -> int:
    """Make a key to sign agents with: FILE is secret, FILE.pub is a line for the keyrings of those who trust it."""
    line = make_key(path, name)
    click.echo(f"{path}: a secret key; add {line} to a keyring: cat {line} >> trusted.keys")
    return 0


@agent_group.command("sign")
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--key", required=True, type=click.Path(path_type=Path), help="Of `edgerig agent key`.")
def sign_command(manifest: Path, key: Path) -> int:
    """Vouch for the agent of MANIFEST and every file that it names; writes MANIFEST.sig."""
    found = load(manifest, check=False)
    place = sign_manifest(found.path, found.canonical(), key)
    click.echo(f"{place}: {found.manifest.name} {found.manifest.version}, files {found.sha256}")
    return 0


@agent_group.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def list_command(as_json: bool) -> int:
    """Show the agents that come with edgerig, by world: policies for --agent, and manifests."""
    from agents import policy, rental_policy
    from agents.rental_networks import talks

    rows = []
    for world, known in (("offloading", policy), ("rental", rental_policy)):
        for name in known.names():
            sees = "its neighbours' letters" if world == "rental" and talks(name) else SEES[known.observes(name)]
            rows.append({"world": world, "agent": name, "sees": sees})
    rows += [
        {"world": load(path, check=False).manifest.world, "agent": str(path), "sees": SEES["local"]}
        for path in sorted(Path(policy.__file__).parent.rglob("agent.toml"))
    ]
    if as_json:
        click.echo(json.dumps({"agents": rows}, indent=2))
    for row in () if as_json else rows:
        click.echo(f"{row['world']:10}  {row['sees']:23}  {row['agent']}")
    return 0


@agent_group.command("check")
@click.argument("agent", metavar="AGENT")
@require_signed_option
@click.option("--jobs", type=click.IntRange(1, 16), default=4, show_default=True, help="Checks at a time.")
@click.option("--edge", type=click.IntRange(0), default=0, show_default=True, help="The edge server it decides for.")
@click.option("--scenario", help="Where a policy of ours is asked.  [default: quickstart]")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def check_command(agent: str, jobs: int, edge: int, scenario: str | None, as_json: bool) -> int:
    """Start AGENT (a manifest, or a policy of ours) and see whether it keeps to docs/agent-protocol.md.

    Exit code 2 if it does not.
    """
    from emulator.conformance_checks import CHECKS, check

    found = _whom(agent, scenario, edge)
    findings = []
    width = max(map(len, CHECKS))
    for finding in check(found, edge, jobs):
        findings.append(finding)
        word = {True: "ok", False: "FAILED", None: "-"}[finding.passed]
        click.echo(f"{finding.name:{width}}  {word:6}  {finding.detail}", err=as_json)
    failed = [finding.name for finding in findings if finding.passed is False]
    path, sha256 = (str(found.path), found.sha256) if isinstance(found, Found) else ("", "")
    if as_json:
        rows = [finding._asdict() for finding in findings]
        facts = {"manifest": path, "name": found.manifest.name, "sha256": sha256, "edge": edge}
        click.echo(json.dumps({**facts, "passed": not failed, "checks": rows}, indent=2))
    else:
        verdict = f"fails {len(failed)} of {len(findings)} checks: {', '.join(failed)}" if failed else "conforms"
        which = f" ({sha256[:12]})" if sha256 else ""
        click.echo(f"{found.manifest.name} {found.manifest.version}{which} {verdict}")
    return USAGE if failed else 0


def _whom(agent: str, scenario: str | None, edge: int) -> Found | Ours:
    """Who is to be checked.

    Raises: AgentError, ScenarioError: there is no such agent, or it cannot be asked there.
    """
    from emulator.conformance import BUDGET_S
    from emulator.conformance_ours import ours

    path = manifest_of(agent)
    if not (is_program(agent) or "/" in agent or path.exists()):
        return ours(agent, scenario or "quickstart", edge, BUDGET_S)
    if scenario is not None:
        raise click.ClickException("--scenario: is for policies of ours; a manifest says which world it is asked in")
    found = load(path)
    if warning_of(found):
        click.echo(warning_of(found), err=True)
    return found


COMMANDS = [agent_group]
