"""A process goes back to its initial state while its links stay: nothing of the episode that ended may come later.

The hub halts everyone between two slots and learns the last sequence of every topic: the fence. A process that has all
up to the fence has nothing of the old episode in flight to it, so slots may go back to 0 without being mistaken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from bus.accounting import counters_of
from bus.messages import BeginAgain, BegunAgain, Published, Query
from bus.process import Process, own_node

HALT: Final = "halt"
BEGIN_AGAIN: Final = "begin_again"
PATIENCE: Final = 3
"""How often a process that is behind is asked until it says so upstream: mostly the messages are on their way."""


class Resettable:
    """Answers the hub's two questions for one process."""

    def __init__(self, process: Process, begin_again: Callable[[int], None]) -> None:
        """Let a process be reset.

        Args:
            process: Whose nodes go back.
            begin_again: Takes the new seed, and puts what the nodes themselves remember back to its initial state.
        """
        self._process = process
        self._begin_again = begin_again
        self._asked = 0  # the number of the reset under way
        self._behind = 0  # how often we were behind in it
        self._done = 0
        own = own_node(process.name)
        process.answering.serve(own, HALT, Query, lambda _: published(process), Published)
        process.answering.serve(own, BEGIN_AGAIN, BeginAgain, self._on_begin_again, BegunAgain)

    def _on_begin_again(self, asked: BeginAgain) -> BegunAgain:
        if asked.number == self._done:
            return BegunAgain(asked.number, True, (), counters_of(self._process))
        behind = tuple(lacking(self._process, asked.fence, ask=self._behind >= PATIENCE))
        if behind:
            self._behind += 1
        elif asked.number != self._asked:
            self._asked = asked.number
            # Through the loop: what this process told itself stands in its queue before this.
            self._process.later(self._go_back, asked)
        return BegunAgain(asked.number, False, behind[:8])

    def _go_back(self, asked: BeginAgain) -> None:
        forget_episode(self._process, asked.seed)
        self._begin_again(asked.seed)
        self._done, self._behind = asked.number, 0


def published(process: Process) -> Published:
    """The last sequence of each topic that a process publishes."""
    return Published(process.instance, {name: publisher.sequence for name, publisher in process.publishers.items()})


def lacking(process: Process, fence: Iterable[Published], *, ask: bool = False) -> Iterator[str]:
    """What has not come yet of what was published up to the fence, as sentences.

    Args:
        process: Who should have it.
        fence: The last sequences of those that it listens to; of others and of those that are gone it needs nothing.
        ask: Whether to ask the publishers for it: it may have been lost.
    """
    connected = process.pubsub.connected
    for part in fence:
        if part.instance not in connected:
            continue
        for subscription in process.pubsub.all_subscriptions():
            last = part.topics.get(subscription.topic)
            if last is None or not subscription.qos.reliable or part.instance in subscription.refused:
                continue
            come = subscription.come(part.instance, last, ask=ask)
            if come < last or not subscription.is_matched(part.instance):
                yield f"{subscription.topic}: {come} of {last} messages are here"


def forget_episode(process: Process, seed: int) -> None:
    """Forget what a process holds of an episode's messages; emulated links draw by another seed."""
    for node in process.nodes.values():
        node.collector.begin_again()
    for publisher in process.publishers.values():
        publisher.begin_again()
    for subscription in process.pubsub.all_subscriptions():
        if subscription.spec.plane == "data":
            subscription.latest.clear()
    if process.links is not None:
        process.links.begin_again(seed)
