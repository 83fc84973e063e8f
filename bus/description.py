"""What a process tells the registry of itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bus import codec, schemas
from bus.calls import Answering
from bus.messages import MethodRecord, NodeRecord, Peer, TopicRecord, TypeRecord
from bus.publisher import Publisher
from bus.qos import Offer
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
        process.public_key,
        process.keys is not None and process.keys.operator,
    )


def types_of(process: Process, told: set[int]) -> tuple[TypeRecord, ...]:
    """The message types that a process has and has not told yet; they count as told from now on."""
    methods = (kind for pair in process.answering.types.values() for kind in pair if kind is not None)
    sent = (publisher.spec.message for publisher in process.publishers.values())
    heard = (subscription.spec.message for subscription in process.subscriptions.values())
    found = []
    for message_type in (*sent, *heard, *methods):
        type_id = codec.type_id(message_type)
        if type_id not in told:
            told.add(type_id)
            found.append(schemas.describe_type(message_type))
    return tuple(found)


def methods_of(answering: Answering, endpoint: str) -> tuple[MethodRecord, ...]:
    """What can be called at an endpoint."""
    return tuple(
        MethodRecord(node, method, codec.type_id(request), codec.type_id(reply) if reply is not None else 0, endpoint)
        for (node, method), (request, reply) in answering.types.items()
    )


def _record_of(end: Publisher | Subscription | Subtree) -> TopicRecord:
    return TopicRecord(end.topic, end.type_id, *end.qos.offer)


def offer_of(record: TopicRecord) -> Offer:
    """What a publisher's record promises, or a subscriber's asks for."""
    return Offer(record.reliable, record.transient_local, record.deadline_s, record.lease_s)
