"""`edgerig agent`: programs that decide, and whether they keep to the protocol."""

from __future__ import annotations

import json
from pathlib import Path

import click

from agents.manifest import load
from emulator.cli import USAGE


@click.group("agent")
def agent_group() -> None:
    """Agents of your own."""


@agent_group.command("check")
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--edge", type=click.IntRange(0), default=0, show_default=True, help="The edge server it decides for.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def check_command(manifest: Path, edge: int, as_json: bool) -> int:
    """Start the program of MANIFEST and see whether it keeps to docs/agent-protocol.md; exit code 2 if it does not."""
    found = load(manifest)
    from emulator.conformance_checks import CHECKS, check

    findings = []
    width = max(map(len, CHECKS))
    for finding in check(found, edge):
        findings.append(finding)
        word = {True: "ok", False: "FAILED", None: "-"}[finding.passed]
        click.echo(f"{finding.name:{width}}  {word:6}  {finding.detail}", err=as_json)
    failed = [finding.name for finding in findings if finding.passed is False]
    if as_json:
        rows = [finding._asdict() for finding in findings]
        facts = {"manifest": str(found.path), "name": found.manifest.name, "sha256": found.sha256, "edge": edge}
        click.echo(json.dumps({**facts, "passed": not failed, "checks": rows}, indent=2))
    else:
        verdict = f"fails {len(failed)} of {len(findings)} checks: {', '.join(failed)}" if failed else "conforms"
        click.echo(f"{found.manifest.name} {found.manifest.version} ({found.sha256[:12]}) {verdict}")
    return USAGE if failed else 0


COMMANDS = [agent_group]
