"""Leads a live run through the blocks of a switchback: the candidate everywhere, the baseline everywhere, in turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bus.errors import BusError
from bus.messages import RunStatus
from emulator.trials import switchback
from emulator.trials.figures import Arm, Incident
from emulator.trials.live_state import served
from emulator.trials.rules import Verdict
from emulator.trials.switchback import Pair

if TYPE_CHECKING:
    from emulator.trials.rollout import Rollout


class Blocks:
    """The blocks of one trial in one live run; ``facts`` is what ``trial.json`` has of them."""

    def __init__(self, rollout: Rollout, tell: Callable[[str], None]) -> None:
        """Prepare; the baseline must be bound everywhere.

        Args:
            rollout: In control of the run.
            tell: Takes lines for people.
        """
        table = rollout.trial.plan.switchback
        assert table is not None  # noqa: S101 -- the caller looks
        self._rollout, self._tell, self._table = rollout, tell, table
        self._drop = switchback.dropped(table, rollout.scenario.world)
        self.facts: dict[str, Any] = {"block_frames": table.block_frames, "drop_frames": self._drop, "pairs": []}
        self.facts["rolled_back_frame"] = -1

    def hold(self) -> Verdict | Incident:
        """Play all pairs; the verdict, or what the candidate broke."""
        plan, rollout = self._rollout.trial.plan, self._rollout
        seed, pairs = plan.seed_list[0], []
        for number, arms in enumerate(switchback.order(seed, plan.name, self._table.pairs), start=1):
            self._tell(f"{rollout.name}: pair {number} of {self._table.pairs}: {arms[0]} first")
            found: dict[Arm, dict[str, float]] = {}
            froms = []
            for arm in arms:
                from_frame, figures = self._block(arm)
                if isinstance(figures, Incident):
                    return figures
                found[arm] = figures
                froms.append(from_frame)
            pairs.append(Pair(arms[0], (froms[0], froms[1]), found["candidate"], found["baseline"]))
        verdict, facts = switchback.judged(pairs, rollout.trial.metric, plan.rule.gain_share, plan.rule.alpha, seed)
        self.facts |= facts
        return verdict

    def _block(self, arm: Arm) -> tuple[int, dict[str, float] | Incident]:
        """One block: from which frame on the arm was bound, and its figures."""
        rollout = self._rollout
        first, start = None, rollout.bind(arm)
        if isinstance(start, Incident):
            return -1, start
        status = rollout.lead.look()
        while True:
            over = (status.slot + 1) // rollout.scenario.slots_per_frame
            if first is None and over >= start + self._drop:
                first = status
            if first is not None and over >= start + self._table.block_frames:
                return start, _between(first, status, rollout.scenario.slots_per_frame)
            if status.phase not in ("starting", "running"):
                raise BusError(f"the run ended in frame {status.frame}; the switchback needs more frames")
            status = rollout.lead.step()
            breach = rollout.breach()
            if breach is not None:
                return start, breach


def _between(first: RunStatus, last: RunStatus, slots_per_frame: int) -> dict[str, float]:
    """Delay of a task, and reward of a frame, of what came after a look up to a later one."""
    done, before = served(last), served(first)
    cost_s = last.delay_s * done - first.delay_s * before
    frames = max(last.slot - first.slot, 1) / slots_per_frame
    delay_s = cost_s / (done - before) if done > before else 0.0
    return {"delay": delay_s, "reward": (last.reward_s - first.reward_s) / frames}
