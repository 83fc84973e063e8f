"""What can be wrong with a scenario, a trace or a run.

ScenarioError           a scenario or a trace cannot be used; holds every problem found      exit 2
RunFolderError          the run folder cannot be made or written                             exit 2
InvariantBroken         the world contradicts itself (a task lost or ended twice)            exit 4
PlaceLost               this host has no address on a network, or another one than before     exit 3
RunStalled              a slot did not end in time; says who waits for whom                  exit 3
"""

from __future__ import annotations


class ScenarioError(Exception):
    """A scenario or a trace cannot be used.

    Attributes:
        problems: One line each: what, where, remedy.
    """

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class RunFolderError(Exception):
    """The run folder cannot be made or written; the text says which file and what to do."""


class InvariantBroken(Exception):
    """The world contradicts itself: a task ended twice or never."""


class PlaceLost(Exception):
    """This host has no address on a network that it needs, or another one than it told the others."""


class RunStalled(Exception):
    """A slot did not end before its deadline.

    Attributes:
        slot: The slot that did not end.
        waiting_for: One sentence for each participant that is waited for.
    """

    def __init__(self, slot: int, waiting_for: list[str]) -> None:
        self.slot = slot
        self.waiting_for = waiting_for
        super().__init__(f"slot {slot} did not end in time; waiting for {'; '.join(waiting_for) or 'nobody known'}")
