"""A scenario's processes as a compose file, each a container with its names, all after the shipped ``compose.yaml``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from emulator.layout import Group, groups
from emulator.scenario import Scenario

SERVICES: Final = {"cell": "demand", "edge": "edge", "agent": "agent", "cloud": "cloud"}
"""The service of compose.yaml that each kind of process is like."""

AS_THEY_ARE: Final = ("keys", "prometheus", "grafana", "alertmanager")
NETWORKS: Final = {"control": {"internal": True}, "data": {"internal": True}, "outside": {}}
VOLUMES: Final = ("keys", "runs", "prometheus")
SLOWLY: Final = "deadlines.start_s=120.0 agent.successor_s=60.0"  # as in compose.yaml
MOUNTED: Final = "/edgerig/scenario.toml"
MEMORY_MB: Final = 256
MEMORY_MB_PER_NODE: Final = 24  # of one more in a process, several times what is measured


def compose_document(
    scenario: Scenario, source: str, changes: tuple[str, ...], base: str, *, is_file: bool
) -> dict[str, Any]:
    """The compose file as a document.

    Args:
        scenario: What is to run; its ``[processes]`` say how nodes share containers.
        source: The scenario's name, or where its file is, seen from the compose file.
        changes: What is changed in it, ``KEY=VALUE`` without blanks.
        base: Where ``compose.yaml`` is, seen from the compose file.
        is_file: Whether source is a file, which the hub's container then needs.
    """

    def like(service: str, **more: Any) -> dict[str, Any]:
        return {"extends": {"file": base, "service": service}, **more}

    settings = " ".join((SLOWLY, *changes))
    told = {"EDGERIG_SCENARIO": MOUNTED if is_file else source, "EDGERIG_EDGES": "", "EDGERIG_SET": settings}
    mounted = {"volumes": [f"{source}:{MOUNTED}:ro"]} if is_file else {}
    services = {name: like(name) for name in AS_THEY_ARE}
    services["hub"] = like("hub", environment=told, **mounted)
    for group in groups(scenario):
        services[group.name] = like(SERVICES[group.kind], **_alone(group))
    return {
        "name": f"edgerig-{scenario.name.replace('.', '-')}",
        "services": services,
        "networks": dict(NETWORKS),
        "volumes": {name: {} for name in VOLUMES},
    }


def _alone(group: Group) -> dict[str, Any]:
    """What makes a service one container with these names."""
    if not group.count:
        return {}
    names = {"EDGERIG_INDEX": str(group.first), "EDGERIG_COUNT": str(group.count)}
    memory = f"{MEMORY_MB + MEMORY_MB_PER_NODE * (group.count - 1)}m"
    # demand of compose.yaml takes all cells.
    command = {"command": ["node", "start", "cell"]} if group.kind == "cell" else {}
    return {"scale": 1, "mem_limit": memory, "environment": names, **command}


def yaml(document: Mapping[str, Any]) -> str:
    """A document of mappings, lists and scalars as YAML, whose scalars are those of JSON."""
    return "\n".join(_lines(document, 0)) + "\n"


def _lines(document: Mapping[str, Any], depth: int) -> Iterator[str]:
    for key, value in document.items():
        if isinstance(value, Mapping) and value:
            yield f"{'  ' * depth}{key}:"
            yield from _lines(value, depth + 1)
        else:
            yield f"{'  ' * depth}{key}: {json.dumps(value)}"
