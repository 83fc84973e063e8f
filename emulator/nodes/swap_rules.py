"""What a swap may ask for, and whom it means."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from bus.registry import Registry
from bus.slots import Now
from bus.swap_messages import Swap
from emulator.nodes.swap_request import Part
from emulator.scenario import Scenario

ONLY_ONE: Final = "standby"
LONGEST_S: Final = 86_400.0


def check(asked: Swap, phase: str, now: Now | None, scenario: Scenario, registry: Registry) -> None:
    """Find what keeps a swap from being begun.

    Args:
        asked: What is asked for.
        phase: Of the run, in a word.
        now: The slot that is computed; None before the first.
        scenario: The run's.
        registry: Of its processes.
    Raises: ValueError: something does.
    """
    if phase not in ("starting", "running"):
        raise ValueError(f"the run is {phase}; agents can be swapped while it is running")
    count = scenario.edges.count
    if not asked.edges or len(set(asked.edges)) < len(asked.edges):
        raise ValueError("edges: names no edge server, or one twice")
    for edge in asked.edges:
        if not 0 <= edge < count:
            raise ValueError(f"edge {edge}: there are 0..{count - 1}")
    if bool(asked.agent) == bool(asked.to):
        raise ValueError("give either an agent to start, or who stands by already")
    if asked.to and len(asked.to) != len(asked.edges):
        raise ValueError(f"to: names {len(asked.to)} agents for {len(asked.edges)} edge servers")
    if scenario.link:
        raise ValueError(
            "a run with emulated links has no swaps; take [[link]] out, or set links by hand after the swap"
        )
    if now is not None and 0 <= asked.at_frame <= now.frame:
        raise ValueError(f"frame {asked.at_frame} has begun; it is frame {now.frame} now")
    if asked.at_frame >= scenario.frames:
        raise ValueError(f"frame {asked.at_frame}: the run has frames 0..{scenario.frames - 1}")
    if asked.hold_frames < -1 or not 0.0 < asked.deadline_s < LONGEST_S:
        raise ValueError(f"hold_frames must be -1 or more, deadline_s more than 0 and less than {LONGEST_S:g}")
    if asked.back_frame >= 0 and not (asked.hold_frames < 0 <= asked.at_frame < asked.back_frame):
        raise ValueError("back_frame must come after at_frame, with hold_frames = -1")
    if negotiates(registry):
        raise ValueError("agents that negotiate with their neighbours cannot be swapped one by one")


def negotiates(registry: Registry) -> bool:
    """Whether agents of a run negotiate with their neighbours."""
    nodes = (node for peer in registry.peers() for node in peer.nodes)
    return any("/orchestration/" in record.topic for node in nodes for record in node.publishes)


def choose(part: Part, token: str, registry: Registry, taken: Collection[int]) -> None:
    """Find who stands by under a process name or an instance number; ``standby``: the only one.

    Args:
        part: The edge server, which gets what is found.
        token: Whom is meant.
        registry: Of the run's processes.
        taken: Instances that other swaps have to do with.
    Raises: ValueError: nobody stands by under it, or several do.
    """
    there = [entry for entry in registry.standbys.of(f"/agent/{part.edge}") if entry.instance not in taken]
    found = [entry for entry in there if token in (ONLY_ONE, entry.process, str(entry.instance))]
    if len(found) != 1:
        names = ", ".join(f"{entry.process} ({entry.instance})" for entry in there) or "nobody"
        raise ValueError(f"edge {part.edge}: {token!r} names {len(found)} of those who stand by: {names}")
    part.process, part.instance = found[0].process, found[0].instance
    part.ready = found[0].peer is not None
