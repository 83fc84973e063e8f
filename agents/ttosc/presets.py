"""How an agent of TTOSC is trained or distilled: the paper's own figures, and what makes them work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from agents.errors import AgentError

Credit = Literal["shared", "marginal"]


@dataclass(frozen=True, slots=True)
class Preset:
    """What Algorithm 1 leaves to choose; an episode is a frame.

    Attributes:
        name: What it is called.
        credit: What an agent learns from: ``shared``, the reward that all agents have in common, fitted by the sum of
            the deployed services' values (eq. 14); or ``marginal``, for each deployed service what it saved by being
            there, fitted by that service's own value.
        gamma: Discount of the next frame's value; 0 where an action changes nothing but its own frame.
        learning_rate: Of Adam, at the start.
        halving_frames: Frames until the learning rate is half, a third after twice as many, and so on; 0: constant.
        count_unit: Tasks that are 1 at the network's input.
        epsilon: Probability of a random packing, at the start.
        least_epsilon: The same after ``epsilon_frames``; falls in a straight line in between.
        epsilon_frames: See there.
        batch: [N] trajectories of an update.
        target_frames: [delta] frames after which the target network takes the weights.
        buffer: [E] trajectories that are kept.
        hidden: Width of the GRU.
        layers: GRU layers.
    Source: ttosc section V.A for ``literal``; the buffer, the layers and all other presets are ours.
    """

    name: str
    credit: Credit = "shared"
    gamma: float = 0.9
    learning_rate: float = 0.01
    halving_frames: int = 0
    count_unit: float = 1.0
    epsilon: float = 0.5
    least_epsilon: float = 0.01
    epsilon_frames: int = 500
    batch: int = 64
    target_frames: int = 20
    buffer: int = 2000
    hidden: int = 128
    layers: int = 1

    def epsilon_of(self, frame: int) -> float:
        """Probability of a random packing in a frame."""
        left = max(0.0, 1.0 - frame / self.epsilon_frames)
        return self.least_epsilon + (self.epsilon - self.least_epsilon) * left

    def learning_rate_of(self, frame: int) -> float:
        """Learning rate in a frame."""
        return self.learning_rate / (1.0 + frame / self.halving_frames) if self.halving_frames else self.learning_rate


PRESETS: Final = {
    preset.name: preset
    for preset in (
        Preset("literal"),
        Preset("tuned", gamma=0.0, learning_rate=0.001, count_unit=5.0),
        Preset(
            "marginal",
            credit="marginal",
            gamma=0.0,
            learning_rate=0.001,
            halving_frames=300,
            count_unit=5.0,
            epsilon=0.2,
            epsilon_frames=300,
        ),
    )
}


def preset_of(name: str) -> Preset:
    """A preset by its name.

    Raises: AgentError: there is none.
    """
    if name not in PRESETS:
        raise AgentError(f"preset {name!r}: choose {', '.join(PRESETS)}")
    return PRESETS[name]


@dataclass(frozen=True, slots=True)
class Distillation:
    """How an actor is distilled from a planner; a round prices all frames once and then learns from the prices.

    Attributes:
        teacher: SPEC of the planner whose deployments the first round prices.
        worlds: 0: an actor for the scenario's own world; else one for any world, from so many that are drawn anew.
        rounds: How many; an agent that stops earlier has a learning rate that is still high.
        trust: Weight of a round's prices beside those of the rounds before. Everyone answers to everyone at once, so
            with all the weight on the latest round they chase each other.
        steps: Of Adam in each round.
        batch: Frames of a step, each with all its servers and services.
        learning_rate: Of the first round; falls in a straight line to nothing behind the last.
        hidden: Width of the layers.
    Source: ours; the averaged answers are fictitious play (Brown 1951).
    """

    teacher: str
    worlds: int = 0
    rounds: int = 30
    trust: float = 0.3
    steps: int = 60
    batch: int = 32
    learning_rate: float = 0.003
    hidden: int = 32


def distillation_of(teacher: str, worlds: int = 0, rounds: int | None = None) -> Distillation:
    """How an actor for one world, or for any, is best distilled: the latter has more to learn and takes longer."""
    if worlds:
        return Distillation(teacher, worlds=worlds, rounds=rounds or 60, steps=100)
    return Distillation(teacher, rounds=rounds or 30)


def frames_of(worlds: int) -> int:
    """How many frames of each world are enough."""
    return 100 if worlds else 1000
