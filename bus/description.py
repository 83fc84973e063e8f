"""What a process tells the registry of itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bus.messages import NodeRecord, Peer, TopicRecord
from bus.publisher import Publisher
from bus.subscription import Subscription
from bus.subtree import Subtree

if TYPE_CHECKING:
    from bus.process import Process


def describe(process: Process, metrics_url: str, guest: bool) -> Peer:
    """Where a process is, and what its nodes publish and subscribe."""
    nodes = tuple(
        NodeRecord(
            node.name,
            tuple(_record_of(publisher) for publisher in node.published),
            tuple(_record_of(end) for end in node.subscribed if end.callbacks or end.filings)
            + tuple(_record_of(tree) for tree in node.trees if tree.callbacks),
        )
        for node in process.nodes.values()
    )
    return Peer(
        process.name,
        process.instance,
        os.getpid(),
        process.host,
        process.endpoint,
        process.call_endpoint,
        metrics_url,
        nodes,
        guest,
    )


def _record_of(end: Publisher | Subscription | Subtree) -> TopicRecord:
    return TopicRecord(end.topic, end.type_id, end.qos.reliable, end.qos.latched)
