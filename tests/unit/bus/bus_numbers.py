from __future__ import annotations

from bus.messages import Graph, Message
from bus.qos import BEST_EFFORT, LATCHED, Qos
from bus.topics import TopicSpec, TopicTable


class Number(Message, frozen=True):
    value: int


class Word(Message, frozen=True):
    value: str


TABLE = TopicTable(
    [
        TopicSpec("/edge/{m}/number", Number, Qos(history=64)),
        TopicSpec("/edge/{m}/short", Number, Qos(history=4)),
        TopicSpec("/edge/{m}/gauge", Number, BEST_EFFORT),
        TopicSpec("/edge/{m}/latched", Number, LATCHED),
        TopicSpec("/edge/{m}/three", Number, Qos(durability="transient_local", depth=3)),
        TopicSpec("/hub/graph", Graph, LATCHED, plane="control"),
    ]
)
WORDS = TopicTable(
    [
        TopicSpec("/edge/{m}/number", Word),
        TopicSpec("/hub/graph", Graph, LATCHED, plane="control"),
    ]
)
