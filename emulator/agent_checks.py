"""What a scenario of either world may not say of its agents although every single value of it is fine."""

from __future__ import annotations

from collections.abc import Iterator

from emulator.scenario import Scenario


def lost_contradictions(scenario: Scenario) -> Iterator[str]:
    """Agents that are not heard belong to edge servers that there are, for a frame at least."""
    for k, (edge, first, end) in enumerate(scenario.agent.lost):
        if edge >= scenario.edges.count:
            yield f"agent.lost[{k}]: edge {edge}: there are 0..{scenario.edges.count - 1}"
        if end <= first:
            yield f"agent.lost[{k}]: [{edge}, {first}, {end}] is empty; the end is the first frame it is heard in again"
