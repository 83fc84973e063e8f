"""Who is bound at each edge server of a world in this process, and what comes of their answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from emulator.trials.callees import Answer
from emulator.trials.figures import Arm, Incident

NobodyThere = Callable[[int, int], bool]
"""Edge server and frame to whether a fault took its agent away."""


Carry = Callable[[int, Any], str]
"""Edge server and decision to why it did not come there over an emulated link; empty: it did."""


def nobody_is_lost(_edge: int, _frame: int) -> bool:
    """No fault."""
    return False


def it_comes(_edge: int, _decided: Any) -> str:
    """No emulated link."""
    return ""


@dataclass
class Binding:
    """The arms of one world; in force is whatever was decided last, by edge server.

    Attributes:
        bound: Who is bound in this frame.
        before: Who was in the frame before.
    """

    bound: list[Arm]
    nobody: NobodyThere = nobody_is_lost
    before: list[Arm] = field(init=False)

    def __post_init__(self) -> None:
        self.before = list(self.bound)

    def asked(self, also: Sequence[int]) -> dict[Arm, list[int]]:
        """Whom to ask: the baseline everywhere, the candidate where it is bound, and where it decides on copies."""
        bound = {m for m, arm in enumerate(self.bound) if arm == "candidate"}
        return {"baseline": list(range(len(self.bound))), "candidate": sorted(bound | set(also))}

    def obey(
        self,
        frame: int,
        answers: Mapping[Arm, Mapping[int, Answer]],
        take: Callable[[int, Any], None],
        carry: Carry = it_comes,
    ) -> tuple[list[Incident], list[str]]:
        """Let decisions come into force; returns what went wrong, and why each edge server refused what it refused.

        What a link lost is nobody's fault, and so no incident.
        """
        refused, incidents = [""] * len(self.bound), []
        for edge, arm in enumerate(self.bound):
            warming = answers.get("candidate", {}).get(edge)
            if arm == "baseline" and warming is not None and warming.wrong is not None:
                incidents.append(Incident(warming.wrong[0], edge, frame, "candidate", warming.wrong[1], covered=True))
            if self.nobody(edge, frame):
                continue
            answer = answers[arm][edge]
            if answer.wrong is None:
                refused[edge] = carry(edge, answer.decided)
                if not refused[edge]:
                    take(edge, answer.decided)
                continue
            # In the frame in which the candidate takes over, both decide.
            instead = answers["baseline"][edge].decided if arm != self.before[edge] else None
            if instead is None:
                refused[edge] = answer.wrong[0]
            elif not (reason := carry(edge, instead)):
                take(edge, instead)
            else:
                refused[edge] = reason
            incidents.append(Incident(answer.wrong[0], edge, frame, arm, answer.wrong[1], covered=instead is not None))
        self.before = list(self.bound)
        return incidents, refused
