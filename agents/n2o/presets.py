"""How agents of the rental world are trained, and how actors are distilled from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from agents.errors import AgentError

Method = Literal["centralized", "madql", "coordinated"]
METHODS: Final[tuple[Method, ...]] = get_args(Method)
MOST_CENTRALIZED: Final = 9
"""Agents of the largest centralised network: it has an output for each joint rental, and 3 ** 9 is 19,683."""

EXPLORING_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Preset:
    """What deep Q-learning leaves to choose.

    Attributes:
        method: ``centralized``: one network that sees everything; ``madql``: a network for each edge server, which
            hopes that its neighbours do what is best for it; ``coordinated``: the same networks, but acting and
            looking ahead at the joint rental that max-sum finds.
        steps: Steps in all; each plays a slot in every copy of the world and updates every network once.
        copies: Copies of the world that are played at once.
        discount: [gamma] of the next slot's value.
        learning_rate: Of Adam at the start; falls in a straight line.
        last_rate_share: Share of it at the end.
        hidden: Widths of the hidden layers.
        batch: Slots of an update.
        capacity_steps: Steps that are remembered.
        target_steps: Steps after which the target network takes the weights.
        huber: Error from which on the loss is linear, in reward.
        largest_gradient: Norm that a network's gradient is cut to.
        least_epsilon: Share of random rentals after the first 30 % of the steps; falls from 1 in a straight line.
        double: Double Q-learning: the network chooses the next action, the target network says what it is worth.
    Source: N2O section VI.A for the widths; the rest is ours: bandwidth and price are drawn anew in every slot, so
        what comes next depends little on what is done, and a discount of 0.9 only adds noise.
    """

    method: Method
    steps: int = 6000
    copies: int = 16
    discount: float = 0.5
    learning_rate: float = 3e-3
    last_rate_share: float = 0.1
    hidden: tuple[int, ...] = (8, 32, 8)
    batch: int = 64
    capacity_steps: int = 2500
    target_steps: int = 100
    huber: float = 5.0
    largest_gradient: float = 10.0
    least_epsilon: float = 0.05
    double: bool = False

    def epsilon_of(self, step: int) -> float:
        """Probability that an agent rents at random in a step."""
        left = max(0.0, 1.0 - step / (EXPLORING_SHARE * self.steps))
        return self.least_epsilon + (1.0 - self.least_epsilon) * left

    def learning_rate_of(self, step: int) -> float:
        """Learning rate in a step."""
        return self.learning_rate * (1.0 - (1.0 - self.last_rate_share) * min(1.0, step / self.steps))


ONLINE: Final = Preset("madql", steps=2000, copies=1, capacity_steps=2500)
"""Agents that learn while they act: a step is a slot, of the one world there is.

Source: ours: exploration and learning rate fall within two weeks of ten-minute slots.
"""


def preset_of(method: Method, agents: int, steps: int, *, double: bool) -> Preset:
    """How to train so many agents.

    Raises: AgentError: too many for a centralised network.
    Source: N2O section VI.A (widths of both kinds of networks).
    """
    if method != "centralized":
        return Preset(method, steps=steps, double=double)
    if agents > MOST_CENTRALIZED:
        raise AgentError(
            f"--method centralized: a network with 3 ** {agents} outputs cannot be trained; "
            f"it goes up to {MOST_CENTRALIZED} edge servers; use madql"
        )
    rate = 1e-3 if agents <= 4 else 7e-4
    return Preset(method, steps=steps, double=double, learning_rate=rate, hidden=(256, 256, 128))


@dataclass(frozen=True, slots=True)
class Distilling:
    """How actors are taught.

    Attributes:
        actor: ``regression``: one number, rounded; ``classification``: a number for each rental, the largest counts.
        slots: Slots the teacher labels.
        rounds: Times the actors then play, and the teacher labels what they met (DAgger).
        round_slots: Slots of such a round.
        updates: Of the first teaching; each round adds as many.
        batch: Labels of an update.
        learning_rate: Of Adam at the start of a teaching; falls to a tenth in a straight line.
        hidden: Widths of the hidden layers.
    Source: N2O section VI.B.6 (16, 32, 16; one output) and Appendix A; the classification, the rounds and the
        figures are ours.
    """

    actor: Literal["regression", "classification"] = "classification"
    slots: int = 4800
    rounds: int = 2
    round_slots: int = 2400
    updates: int = 1500
    batch: int = 128
    learning_rate: float = 3e-3
    hidden: tuple[int, ...] = (16, 32, 16)

    def learning_rate_of(self, update: int, updates: int) -> float:
        """Learning rate of one of so many updates."""
        return self.learning_rate * (1.0 - 0.9 * update / updates)
