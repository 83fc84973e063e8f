"""States of nodes, as in ROS 2, and the nodes that are led through them from outside.

    unconfigured --configure--> inactive --activate--> active
                 <--cleanup----          <-deactivate-         any --shutdown--> finalized

A callback that raises ValueError, LookupError, OSError or a BusError refuses its transition; anything else is a fault,
and leads to ``error``, from which cleanup and shutdown lead on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from bus.errors import BusError
from bus.messages import NodeState, SetState

if TYPE_CHECKING:
    from bus.node import Node
    from bus.publisher import Publisher

_log = logging.getLogger(__name__)

UNCONFIGURED, INACTIVE, ACTIVE, FINALIZED, ERROR = "unconfigured", "inactive", "active", "finalized", "error"
STATES: Final = (UNCONFIGURED, INACTIVE, ACTIVE, FINALIZED, ERROR)
TRANSITIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "configure": {UNCONFIGURED: INACTIVE},
    "activate": {INACTIVE: ACTIVE},
    "deactivate": {ACTIVE: INACTIVE},
    "cleanup": {INACTIVE: UNCONFIGURED, ERROR: UNCONFIGURED},
    "shutdown": dict.fromkeys((UNCONFIGURED, INACTIVE, ACTIVE, ERROR), FINALIZED),
}
SET: Final = "lifecycle_set"
_HEIGHTS: Final = {INACTIVE: 1, ACTIVE: 2}


class TransitionRefused(BusError, ValueError):
    """A node cannot go that way; its state is what it was."""

    def __init__(self, node: str, state: str, transition: str, reason: str) -> None:
        super().__init__(f"{node} is {state}: {transition} {reason}")
        self.node = node
        self.state = state
        self.transition = transition


def possible(state: str) -> tuple[str, ...]:
    """The transitions that lead on from a state."""
    return tuple(name for name, ways in TRANSITIONS.items() if state in ways)


def reached(state: str, wanted: str) -> bool:
    """Whether a node in a state is at least as far as another: who is active was inactive before."""
    return _HEIGHTS.get(state, 0) >= _HEIGHTS[wanted]


class Lifecycle:
    """The state of one managed node. Made by ``Node.manage``; while it is not active, its publishers send nothing."""

    def __init__(self, node: Node, callbacks: Mapping[str, Callable[[], None] | None]) -> None:
        self.state = UNCONFIGURED
        self.reason = ""
        """What went wrong, in state ``error``."""
        self.unsent = 0
        """Messages that were not published since the node was not active."""
        self._node = node
        self._callbacks = {name: callback for name, callback in callbacks.items() if callback is not None}
        for publisher in node.published:
            self.hold(publisher)
        node.serve(SET, SetState, lambda request: self.change(request.transition), NodeState)

    def record(self) -> NodeState:
        """As it is told to the registry."""
        return NodeState(self._node.name, self.state, self._node.process.name, True, self.reason, self.unsent)

    def change(self, transition: str) -> NodeState:
        """Go on to another state; returns where that led.

        Raises: TransitionRefused: there is no such transition from here, or the node's own callback refuses it.
        """
        target = TRANSITIONS.get(transition, {}).get(self.state)
        if target is None:
            ways = ", ".join(possible(self.state)) or "nothing"
            raise TransitionRefused(self._node.name, self.state, transition, f"is not possible; possible is {ways}")
        self.reason = ""
        try:
            for step in self._steps(transition):
                if step in self._callbacks:
                    self._callbacks[step]()
        except (BusError, ValueError, LookupError, OSError) as error:
            raise TransitionRefused(self._node.name, self.state, transition, f"was refused: {error}") from None
        except Exception as error:  # noqa: BLE001 -- a fault of the node's: the state for it is what tools must see
            _log.exception("%s: %s failed", self._node.name, transition)
            target, self.reason = ERROR, f"{transition} failed: {type(error).__name__}: {error}"
        self._enter(target)
        return self.record()

    def hold(self, publisher: Publisher) -> None:
        """Let a publisher of the node send only while it is active; costs nothing then."""
        if publisher.spec.plane != "data":
            return
        if self.state == ACTIVE:
            for name in ("publish", "try_publish"):
                publisher.__dict__.pop(name, None)
        else:
            vars(publisher).update(publish=self._keep_back, try_publish=self._try_later)

    def _steps(self, transition: str) -> tuple[str, ...]:
        """Callbacks to run: who is shut down is first deactivated and cleaned up."""
        if transition != "shutdown":
            return (transition,)
        return {ACTIVE: ("deactivate", "cleanup"), INACTIVE: ("cleanup",), ERROR: ("cleanup",)}.get(self.state, ())

    def _enter(self, state: str) -> None:
        before, self.state = self.state, state
        for publisher in self._node.published:
            self.hold(publisher)
        _log.info("%s: %s -> %s", self._node.name, before, state)
        self._node.process.membership.beat()

    def _keep_back(self, _message: Any, **_header: int) -> bytes:
        self.unsent += 1
        if self.unsent.bit_count() == 1:  # the 1st, 2nd, 4th, 8th ...
            _log.warning("%s is %s: %d messages were not published", self._node.name, self.state, self.unsent)
        return b""

    def _try_later(self, message: Any, **header: int) -> bool:
        self._keep_back(message, **header)
        return False
