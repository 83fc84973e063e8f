"""A trial that has nothing but a live run: no worlds beside it, and so no twins."""

from __future__ import annotations

from typing import Any

from emulator.errors import ScenarioError
from emulator.scenario import Scenario
from emulator.trials.plan import Plan
from emulator.trials.rules import Trial
from emulator.trials.switchback import CARRIED, dropped


class LiveOnly:
    """Holds what a switchback's answer is made of."""

    mode = "live"

    def __init__(self, plan: Plan, scenario: Scenario | None) -> None:
        """Check that the switchback can be held.

        Args:
            plan: With a switchback.
            scenario: That of the live run; None without one.
        Raises: ScenarioError: it cannot.
        """
        if scenario is None:
            raise ScenarioError(
                f"{plan.name}: switchback: is of a live run (--hub ADDRESS); elsewhere every run has a twin, "
                "which says more: leave it out"
            )
        table = plan.switchback
        if scenario.world == "rental" and table is not None and dropped(table, "rental") < CARRIED["rental"]:
            raise ScenarioError(
                f"{plan.name}: switchback.drop_frames: users of the rental world remember {CARRIED['rental']} slots; "
                f"drop at least so many"
            )
        if table is not None and dropped(table, scenario.world) >= table.block_frames:
            raise ScenarioError(f"{plan.name}: switchback.block_frames: nothing is left of a block; make it longer")
        self.plan, self.scenario = plan, scenario
        self.trial = Trial(plan, scenario.edges.count, scenario.world)
        self.live: dict[str, Any] | None = None
        for stage in plan.stage:
            self.trial.binding(stage)
