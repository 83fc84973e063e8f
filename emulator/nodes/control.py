"""A controller, such as a trial, decides at frame boundaries how a run goes on; swaps do the rest.

How to use it: call ``control`` with ``Control("my trial", through_frame=-1)`` at the hub's address. In lockstep time
stands before every frame after ``through_frame``; ``control_status`` says before which (``paused_frame``). There ask
for swaps (``swap`` with ``at_frame=paused_frame``, ``swap_end``) as long as you like, then call ``go_on`` with
``GoOn(name, through_frame)``: they hold from ``paused_frame`` on, all at once. If nothing is heard for ``deadline_s``
(0: the scenario's ``deadlines.controller_s``), the run ends, names the controller, and can be read. Whoever takes
control again under the same name, after a kill say, goes on from that boundary, and has all that time again. On the
wall clock time never stands: call ``go_on`` every second frame at least, or those before are bound again wherever they
stand by, and the controller is one no longer.
``Control("")`` gives control up.
"""

from __future__ import annotations

from collections.abc import Callable

from bus.messages import Query
from bus.process import Process
from bus.registry import Registry
from bus.swap_messages import Control, ControlStatus, GoOn
from bus.timers import Timer

MOST_SILENT_FRAMES = 2
LOST = 3


def silenced(name: str) -> str:
    """Why those before are bound again on the wall clock."""
    return f"the controller {name!r} was silent for {MOST_SILENT_FRAMES} frames"


class Controlled:
    """Whether a run goes on at a boundary is a controller's to say, once there is one."""

    def __init__(
        self,
        process: Process,
        registry: Registry,
        present: Callable[[], tuple[str, int]],
        give_back: Callable[[str], None],
        note: Callable[[str], None],
        end: Callable[[int, str], None],
        *,
        wall: bool,
        deadline_s: float,
    ) -> None:
        """Let somebody take control.

        Args:
            process: The hub's.
            registry: Where it is asked.
            present: The run's phase in a word, and the frame it is in (-1 before the first).
            give_back: Binds those again who stand by, for a reason.
            note: Takes a sentence for the run's notes.
            end: Ends the run, with its exit code and the reason.
            wall: Whether the wall clock paces it.
            deadline_s: For how many wall seconds time in lockstep stands for a controller that names none.
        """
        self._process = process
        self._present = present
        self._give_back = give_back
        self._note = note
        self._end = end
        self._wall = wall
        self._deadline_s = deadline_s
        self._until_s = 0.0
        self._by = Control("")
        self._through = -1
        self._heard_frame = -1
        self._paused = -1
        self._go_on: Callable[[], None] | None = None
        self._deadline: Timer | None = None
        registry.serve("control", Control, self.take, ControlStatus)
        registry.serve("go_on", GoOn, self.go_on, ControlStatus)
        registry.serve("control_status", Query, lambda _: self.status(), ControlStatus, reads=True)

    @property
    def holding(self) -> bool:
        """Whether time stands at a boundary until the controller says more."""
        return self._go_on is not None

    def waiting(self) -> list[str]:
        """Who is waited for, as sentences."""
        if not self.holding:
            return []
        left_s = max(0.0, self._until_s - self._process.clock())
        who = f"frame {self._paused} waits for the controller {self._by.name!r}"
        return [f"{who}; if it stays silent, the run ends in {left_s:.0f} s"]

    def status(self) -> ControlStatus:
        """Who is in control, and where time stands."""
        phase, frame = self._present()
        return ControlStatus(self._by.name, phase, frame, self._through, self._paused)

    def take(self, asked: Control) -> ControlStatus:
        """Somebody takes control, or gives it up (without a name).

        Raises: ValueError: somebody else has it.
        """
        if asked.name and self._by.name not in ("", asked.name):
            raise ValueError(f"{self._by.name!r} is in control of this run")
        if not 0.0 <= asked.deadline_s < float("inf"):
            raise ValueError("deadline_s must be 0 (the scenario's) or more")
        self._by, self._through, self._heard_frame = asked, asked.through_frame, self._present()[1]
        self._look()
        if self.holding:
            self._expects()
        return self.status()

    def go_on(self, asked: GoOn) -> ControlStatus:
        """The controller lets frames pass, up to and with one.

        Raises: ValueError: it is not in control (any more).
        """
        if not asked.name or asked.name != self._by.name:
            raise ValueError(f"{asked.name!r} is not in control of this run; {self._by.name or 'nobody'!r} is")
        self._through, self._heard_frame = asked.through_frame, self._present()[1]
        self._look()
        return self.status()

    def may_begin(self, frame: int, go_on: Callable[[], None]) -> bool:
        """A frame is about to begin; False: not yet, ``go_on`` is called when it is time."""
        if not self._by.name:
            return True
        if self._wall:
            if frame - max(self._heard_frame, 0) > MOST_SILENT_FRAMES:
                self._lose(silenced(self._by.name))
            return True
        if frame <= self._through:
            return True
        if self._go_on is None:
            self._paused = frame
            self._expects()
        self._go_on, self._paused = go_on, frame
        return False

    def begin_again(self) -> None:
        """Time begins again at frame 0: whoever is in control lets that pass anew."""
        self._through = self._heard_frame = -1

    def _expects(self) -> None:
        """From now on, the controller has its time to say something."""
        if self._deadline is not None:
            self._deadline.cancel()
        seconds = self._by.deadline_s or self._deadline_s
        silent = f"frame {self._paused} waited {seconds:g} s for the controller {self._by.name!r}"
        self._until_s = self._process.clock() + seconds
        self._deadline = self._process.after(seconds, lambda: self._end(LOST, silent))

    def _look(self) -> None:
        if self._go_on is not None and (not self._by.name or self._paused <= self._through):
            go_on, self._go_on, self._paused = self._go_on, None, -1
            if self._deadline is not None:
                self._deadline.cancel()
            self._process.later(go_on)

    def _lose(self, why: str) -> None:
        self._by = Control("")
        self._note(why)
        self._give_back(why)
