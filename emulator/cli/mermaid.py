"""The graph of a live system as a Mermaid flowchart.

Processes that host the same roles are drawn as one box and nodes of a role as one, so that 13 processes (or 200) stay
readable; what goes from one to the other is one arrow, with the topic patterns as its label.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from bus.messages import Peer
from emulator.cli.columns import natural
from emulator.cli.picture import Topic, span, topics_of

Arrow = tuple[str, str, str]  # plane, from, to


def draw(peers: Iterable[Peer], *, whole: bool = False) -> str:
    """The flowchart.

    Args:
        peers: The processes. whole: Draw each process and node by itself, and the control plane as dotted arrows.
    """
    everyone = sorted(peers, key=lambda peer: natural(peer.process))
    boxes: dict[tuple[str, ...], list[Peer]] = {}
    for peer in everyone:
        key = (peer.process,) if whole else tuple(sorted({_role(node.name) for node in peer.nodes}))
        boxes.setdefault(key, []).append(peer)
    lines = ["flowchart LR"]
    places: dict[tuple[int, str], str] = {}
    for number, box in enumerate(boxes.values()):
        lines += _box(number, box, places, whole)
    arrows = _arrows(topics_of(everyone), places, whole)
    for (plane, start, end), patterns in sorted(arrows.items()):
        arrow = "-.->" if plane == "control" else "-->"
        lines.append(f'  {start} {arrow}|"{"<br/>".join(sorted(patterns))}"| {end}')
    return "\n".join(lines)


def _role(name: str) -> str:
    return name.lstrip("/").partition("/")[0]


def _box(number: int, peers: list[Peer], places: dict[tuple[int, str], str], whole: bool) -> list[str]:
    """A subgraph; notes under which identifier each of its nodes is drawn."""
    groups: dict[str, list[str]] = {}
    for peer in peers:
        for node in peer.nodes:
            label = node.name if whole else _role(node.name)
            groups.setdefault(label, []).append(node.name)
            places[peer.instance, node.name] = f"n{number}_{re.sub('[^a-z0-9]', '_', label.lower().strip('/'))}"
    lines = [f'  subgraph p{number}["{_title(peers)}"]']
    for label, names in groups.items():
        identifier = f"n{number}_{re.sub('[^a-z0-9]', '_', label.lower().strip('/'))}"
        lines.append(f'    {identifier}["{span(names)}"]')
    return [*lines, "  end"]


def _title(peers: list[Peer]) -> str:
    if len(peers) == 1:
        return peers[0].process
    return f"{peers[0].process} .. {peers[-1].process}, {len(peers)} processes"


def _arrows(topics: list[Topic], places: dict[tuple[int, str], str], whole: bool) -> dict[Arrow, set[str]]:
    arrows: dict[Arrow, set[str]] = {}
    for topic in topics:
        if topic.plane == "control" and not whole:
            continue
        for publisher in topic.publishers:
            start = places[publisher.peer.instance, publisher.node]
            for subscriber in topic.subscribers:
                end = places[subscriber.peer.instance, subscriber.node]
                arrows.setdefault((topic.plane, start, end), set()).add(topic.pattern)
    return arrows
