"""A run led from outside: whether its time goes on at a boundary, and who decides from there on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal

from bus.client import Client
from bus.errors import BusError, CallFailed
from bus.messages import Query, RunStatus
from bus.swap_messages import Control, ControlStatus, GoOn, Swap, SwapEnd, SwapQuery, SwapState, SwapStates
from emulator.nodes.swap_request import OVER

LOOK_S: Final = 0.05
READY_S: Final = 60.0
GOING: Final = ("starting", "running")
FAR: Final = 2**62


class Lead:
    """Asks a hub for what a trial wants of its run."""

    def __init__(self, client: Client, name: str, *, wall: bool, tell: Callable[[str], None]) -> None:
        """Prepare; nothing is asked for yet.

        Args:
            client: Of the run's hub, with the right to change things.
            name: Of the controller.
            wall: Whether the wall clock paces the run.
            tell: Takes lines for people.
        """
        self._client, self.name, self.wall, self._tell = client, name, wall, tell
        self._pause = threading.Event()

    def take(self) -> None:
        """Take control; time in lockstep stands at the next boundary, for the run's ``deadlines.controller_s``.

        Raises: CallFailed: somebody else has it.
        """
        self._client.call("control", Control(self.name), ControlStatus)

    def give_up(self) -> None:
        """Let the run go on by itself."""
        self._client.call("control", Control(""), ControlStatus)

    def run(self) -> int:
        """Which run it is: the instance of its hub."""
        return next((peer.instance for peer in self._client.peers() if peer.process == "hub"), 0)

    def look(self) -> RunStatus:
        """How far the run is."""
        return self._client.call("run_status", Query(), RunStatus)

    def boundary(self) -> int:
        """The frame before which time stands; -1 on the wall clock, where it does not.

        Raises: BusError: the run ends.
        """
        while not self.wall:
            status = self._client.call("control_status", Query(), ControlStatus)
            if status.paused_frame >= 0:
                return status.paused_frame
            if status.phase not in GOING:
                raise BusError(f"the run is {status.phase}; the trial needs one that goes on")
            self._pause.wait(LOOK_S)
        return -1

    def step(self) -> RunStatus:
        """Let a frame pass, or on the wall clock some time; how far the run is then."""
        if self.wall:
            self._client.call("go_on", GoOn(self.name, FAR), ControlStatus)
            self._pause.wait(LOOK_S)
        else:
            at = self.boundary()
            self._client.call("go_on", GoOn(self.name, at), ControlStatus)
            while self._client.call("control_status", Query(), ControlStatus).paused_frame in (-1, at):
                if self.look().phase not in GOING:
                    break
                self._pause.wait(LOOK_S)
        return self.look()

    def states(self) -> list[SwapState]:
        """How all swaps of the run stand."""
        return list(self._client.call("swap_status", SwapQuery(), SwapStates).swaps)

    def swap(self, edges: Sequence[int], agent: str, at: int) -> SwapState:
        """Let an agent decide for edge servers: as it stands by there, else to be started by the run's launcher.

        Args:
            edges: Edge servers.
            agent: Its SPEC, or ``exec:`` and a manifest's path.
            at: From which frame on; -1: the next boundary at which all are ready.
        """
        there = self._client.call("swap_status", SwapQuery(), SwapStates).standbys
        ready = {each.edge for each in there if each.state == "ready"}
        if set(edges) <= ready:
            asked = Swap(tuple(edges), "", ("standby",) * len(edges), at, -1, READY_S, cold=True)
        else:
            asked = Swap(tuple(edges), agent, (), at, -1, READY_S, cold=True)
        return self._client.call("swap", asked, SwapState)

    def end(self, states: Iterable[SwapState], how: Literal["drain", "rollback"]) -> None:
        """Drain those who stand by, or bind them again, wherever that is still to be said."""
        for state in states:
            if state.stage not in OVER:
                try:
                    self._client.call("swap_end", SwapEnd(state.number, how), SwapState)
                except CallFailed as error:
                    self._tell(f"{self.name}: swap {state.number}: {error.text}")
