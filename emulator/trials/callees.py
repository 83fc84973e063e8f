"""Policies that are called in this process, any of which may crash: what they answer, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from emulator.trials.figures import Guardrail

P = TypeVar("P")


class Answer(NamedTuple):
    """What an agent decided, if it is any good, or what is wrong; and the seconds it took."""

    decided: Any
    seconds: float
    wrong: tuple[Guardrail, str] | None = None


class Callees(Generic[P]):
    """Some policies, by place; who has crashed is not asked again."""

    def __init__(self, policies: Sequence[P]) -> None:
        self._policies = policies
        self._dead: dict[int, str] = {}

    def ask(self, place: int, observation: object) -> tuple[Any, float, str]:
        """What one decides, the seconds it took, and how it crashed if it did."""
        if place in self._dead:
            return None, 0.0, self._dead[place]
        start = time.perf_counter()
        decided = self._guarded(place, "decide", observation)
        return decided, time.perf_counter() - start, self._dead.get(place, "")

    def tell(self, place: int, method: str, *said: object) -> None:
        """Tell one something; if that kills it, it is not there to be asked next."""
        if place not in self._dead:
            self._guarded(place, method, *said)

    def _guarded(self, place: int, method: str, *said: object) -> Any:
        try:
            return getattr(self._policies[place], method)(*said)
        except Exception as error:  # noqa: BLE001 -- whatever a candidate raises is its crash, not ours
            self._dead[place] = f"{type(error).__name__}: {error}"
            return None


def judged(decided: Any, seconds: float, crash: str, budget_s: float, unfit: Callable[[Any], str]) -> Answer:
    """An answer with what is wrong with it; ``unfit`` says why a decision cannot be obeyed, or nothing."""
    if crash:
        return Answer(None, seconds, ("crash", crash))
    why = unfit(decided)
    if why:
        return Answer(None, seconds, ("infeasible", why))
    if seconds > budget_s:
        return Answer(None, seconds, ("late", f"took {seconds:.3f} s of {budget_s:g} s"))
    return Answer(decided, seconds)
