"""Learning beside an agent's loop: one experience after the other, in a thread, announced where it takes long."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import perf_counter
from typing import Final

from agents.policy import Telling
from bus.background import Background
from bus.node import Node

QUICK_S: Final = 0.25
HEADROOM: Final = 10.0
"""What took longer than QUICK_S once is announced from then on, with that much room."""

BACKLOG: Final = 8
"""Experiences that may wait to be learned from; what comes beyond is let go, so that slow learning stays of today."""

FIGURES: Final = ("learning_loss", "exploration_share", "replay_frames")
"""What is measured of ``agents.policy.Figures``."""

_log = logging.getLogger("agent")


class Study:
    """The thread that an agent learns in, and what is counted about it."""

    def __init__(self, node: Node, edge: int, policy: object) -> None:
        """Learn nothing yet; a policy that tells how its learning goes has that measured."""
        self._background = Background(node.process)
        self._slowest_s = 0.0
        self._warned = False
        count = node.process.measurements.counter
        self._learned, self._let_go = count("frames_learned"), count("frames_not_learned")
        self._took = count("learning_seconds")
        tells = FIGURES if isinstance(policy, Telling) else ()
        self._figures = [node.process.measurements.gauge(name, edge=str(edge)) for name in tells]

    def begin_again(self) -> None:
        """Forget what waits to be learned from, once the thread is done with what it is at."""
        self._background.abandon()

    def take(self, learn: Callable[[], None], policy: object) -> None:
        """Learn from an experience after those before it; ``learn`` runs in the thread, for a policy."""
        if self._background.pending >= BACKLOG:
            if not self._warned:
                self._warned = True
                _log.warning("learning is slower than frames; those that would wait too long are not learned from")
            self.let_go()
            return

        def work() -> float:
            start_s = perf_counter()
            learn()
            return perf_counter() - start_s

        def done(took_s: float) -> None:
            self._slowest_s = max(self._slowest_s, took_s)
            self._learned.value += 1.0
            self._took.value += took_s
            if isinstance(policy, Telling):
                for gauge, figure in zip(self._figures, policy.figures(), strict=True):
                    gauge.value = float(figure)

        # The loop turns meanwhile, but on a busy machine perhaps not often.
        busy_s = HEADROOM * self._slowest_s if self._slowest_s > QUICK_S else 0.0
        self._background.run(work, done, busy_s=busy_s)

    def let_go(self) -> None:
        """An experience is not learned from."""
        self._let_go.value += 1.0

    def when_idle(self, then: Callable[[], None]) -> None:
        """Call once all is learned from; at once if it is."""
        self._background.when_idle(then)
