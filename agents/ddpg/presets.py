"""How the learned scheduler is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Preset:
    """What DDPG leaves to choose.

    There is no discount: arrivals and deployments do not depend on the schedule, so an action is worth what its own
    slot says. A target network would only be read for the next slot's value, so there is none.

    Attributes:
        name: What it is called.
        worlds: Worlds that frames are played in, in turn; each is drawn by seeds of its own.
        hidden: Width of actor and critic.
        layers: Hidden layers of each.
        actor_rate: Adam's learning rate of the actor, at the start.
        critic_rate: Of the critic.
        halving_slots: Slots until both rates are half, a third after twice as many, and so on.
        batch: Problems (a service in a slot) of an update.
        updates: Updates a slot.
        buffer: Problems that are kept.
        blind_slots: Slots at the start in which shares are random and the critic learns alone.
        noise: Standard deviation of what is added to the actor's logits, at the start.
        least_noise: The same after ``noise_slots``; falls in a straight line in between.
        random_share: Part of the problems whose shares are drawn at random instead, at the start.
        least_random_share: The same after ``noise_slots``.
        noise_slots: See there.
    Source: ours; the paper gives no figure of its DDPG baseline.
    """

    name: str = "pairs"
    worlds: int = 8
    hidden: int = 48
    layers: int = 2
    actor_rate: float = 0.001
    critic_rate: float = 0.002
    halving_slots: int = 4000
    batch: int = 256
    updates: int = 1
    buffer: int = 60_000
    blind_slots: int = 100
    noise: float = 1.0
    least_noise: float = 0.3
    random_share: float = 0.3
    least_random_share: float = 0.05
    noise_slots: int = 4000

    def noise_of(self, slot: int) -> float:
        """Noise on the logits in a slot."""
        return self._between(slot, self.noise, self.least_noise)

    def random_share_of(self, slot: int) -> float:
        """Part of the problems with random shares in a slot."""
        return 1.0 if slot < self.blind_slots else self._between(slot, self.random_share, self.least_random_share)

    def rate_of(self, slot: int) -> float:
        """What the learning rates are multiplied by in a slot."""
        return 1.0 / (1.0 + slot / self.halving_slots)

    def _between(self, slot: int, first: float, last: float) -> float:
        return last + (first - last) * max(0.0, 1.0 - slot / self.noise_slots)


DEFAULT: Final = Preset()
