"""Every topic below a name through one subscription on the wire; each topic in sequence like any other."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from bus.codec import Header
from bus.messages import Message
from bus.names import SUBTREE
from bus.publisher import RELIABLE_OFFER
from bus.qos import RELIABLE, STREAM, Qos
from bus.reception import Hooks, Link
from bus.subscription import Subscription
from bus.topics import TopicSpec

TreeCallback = Callable[[str, Any, Header], None]
"""Called with topic, payload (bytes) and header."""


class Unread(Message, frozen=True):
    """Stands for whatever a topic carries: its payload stays bytes."""


class Member(Subscription):
    """One topic of a subtree: takes what is offered, latched samples too, and decodes nothing."""

    def __init__(self, topic: str, type_id: int, qos: Qos, hooks: Hooks) -> None:
        super().__init__(topic, TopicSpec(topic, Unread, qos), qos, hooks)
        self.type_id = type_id
        self._latched = True
        self._live.decode = _as_it_is
        self._newest = None

    def _end(self, link: Link, last: int, offer: bytes) -> None:
        if not (offer and offer[0] & RELIABLE_OFFER):
            self.qos = STREAM
        super()._end(link, last, offer)


class Subtree:
    """All topics below a name, for one process. Made by ``Node.subscribe_tree``."""

    def __init__(self, name: str, reliable: bool, hooks: Hooks) -> None:
        self.topic = name
        self.prefix = name.removesuffix(SUBTREE[1:])
        self.qos: Final = RELIABLE if reliable else STREAM
        self.type_id: Final = 0
        self.members: dict[str, Member] = {}
        self.callbacks: tuple[TreeCallback, ...] = ()
        self.refused: dict[tuple[int, str], Exception] = {}
        self._hooks = hooks

    def covers(self, topic: str) -> bool:
        """Whether a topic lies below."""
        return topic.startswith(self.prefix)

    def is_matched(self, key: tuple[int, str]) -> bool:
        """Whether nothing more of that publisher instance's topic can be missed unseen."""
        member = self.members.get(key[1])
        return member is not None and member.is_matched(key[0])

    def member(self, topic: str, type_id: int) -> Member:
        """The subscription of one topic, made when it is first heard of."""
        found = self.members.get(topic)
        if found is None:
            found = self.members[topic] = Member(topic, type_id, self.qos, self._hooks)
            found.callbacks = tuple(partial(callback, topic) for callback in self.callbacks)
        return found

    def add(self, callback: TreeCallback, later: Callable[..., None]) -> None:
        """Call one more; it gets the latest of what is latched."""
        self.callbacks = (*self.callbacks, callback)
        for topic, member in self.members.items():
            for payload, fields in member.latest:
                later(callback, topic, payload, Header(*fields))
            member.callbacks = (*member.callbacks, partial(callback, topic))

    def remove(self, callback: TreeCallback) -> None:
        """Call that one no more."""
        self.callbacks = tuple(known for known in self.callbacks if known != callback)
        for topic, member in self.members.items():
            member.callbacks = tuple(partial(known, topic) for known in self.callbacks)

    def forget(self, instance: int) -> None:
        """That publisher is gone."""
        for member in self.members.values():
            member.forget(instance)


def _as_it_is(payload: Any) -> Any:
    return payload
