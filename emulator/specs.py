"""Which of a scenario's agents are programs of their own, by the text that says who decides."""

from __future__ import annotations

from pathlib import Path
from typing import Final

EXEC: Final = "exec:"


def is_program(spec: str) -> bool:
    """Whether a policy is a program of its own, ``exec:MANIFEST`` or a manifest's path."""
    return spec.startswith(EXEC) or spec.endswith(".toml")


def manifest_of(spec: str) -> Path:
    """The manifest that a program's SPEC names."""
    return Path(spec.removeprefix(EXEC))


def with_whole_paths(policy: str, folder: Path = Path()) -> str:
    """``SPEC`` or ``EDGE=SPEC,...`` with programs as ``exec:`` and the whole path of their manifests.

    Args:
        policy: What was asked for.
        folder: What a relative path starts from.
    """
    parts = []
    for part in policy.split(","):
        edge, own = divided(part)
        parts.append(f"{edge}{EXEC}{(folder / manifest_of(own)).resolve()}" if is_program(own) else part)
    return ",".join(parts)


def programs_of(policy: str, edges: int) -> dict[int, Path]:
    """The manifests of programs by edge server, of a text that was checked before."""
    if EXEC not in policy:
        return {}
    named = dict(divided(part) for part in policy.split(","))
    specs = {edge: named.get(f"{edge}=", named.get("", "")) for edge in range(edges)}
    return {edge: manifest_of(spec) for edge, spec in specs.items() if is_program(spec)}


def divided(part: str) -> tuple[str, str]:
    """``EDGE=`` and SPEC of a part; the first is empty where it is for the rest."""
    edge, equals, own = part.partition("=")
    return (f"{int(edge)}=", own) if equals and edge.strip().isdigit() else ("", part)
