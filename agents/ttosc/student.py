"""The network of a service-shared actor: the same small layers for every service, and one look at all of them.

Features of a service become a hidden row, the mean of all rows says what the cell is like, and both give the service's
value. Services may be renamed or be any number: their values move with them. An actor for one world only has besides
an offset of its own for each server and service, by which it remembers what was worth while there.

Source: ours; the layers over a set follow Zaheer et al., "Deep Sets".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from agents.checkpoint import Arrays
from agents.tensors import Weights, kept, one_thread, restore
from agents.ttosc.features import INPUTS
from agents.ttosc.presets import Distillation
from emulator.model.streams import Stream

Singles = NDArray[np.float32]
CHUNK = 256
"""Frames that are valued at a time, so that memory does not grow with their number."""


@dataclass(frozen=True, slots=True)
class StudentShape:
    """How large it is.

    Attributes:
        hidden: Width of both layers.
        own: Servers and services that have offsets of their own; None for an actor of any world.
    """

    hidden: int
    own: tuple[int, int] | None

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Shape of each tensor."""
        shapes: dict[str, tuple[int, ...]] = {
            "first.weight": (INPUTS, self.hidden),
            "first.bias": (self.hidden,),
            "second.weight": (2 * self.hidden, self.hidden),
            "second.bias": (self.hidden,),
            "value.weight": (self.hidden,),
            "value.bias": (1,),
        }
        if self.own is not None:
            shapes |= {"own.hidden": (*self.own, self.hidden), "own.value": self.own}
        return shapes


def drawn_student(shape: StudentShape, seed: int) -> Weights:
    """Random weights, uniform within 1 / sqrt(inputs of the layer); offsets begin at 0.

    Returns: float32 tensors that can be trained.
    """
    sizes = shape.tensors()
    uniforms = Stream(seed, "/student", "weights", draws=sum(int(np.prod(size)) for size in sizes.values())).uniforms(0)
    weights, at = {}, 0
    for name, size in sizes.items():
        count = int(np.prod(size))
        inputs = sizes[f"{name.split('.')[0]}.weight"][0] if not name.startswith("own") else np.inf
        drawn = (2.0 * uniforms[0, at : at + count] - 1.0) / np.sqrt(inputs)
        weights[name] = torch.from_numpy(drawn.astype(np.float32).reshape(size)).requires_grad_()
        at += count
    return weights


def student_values(weights: Weights, features: torch.Tensor) -> torch.Tensor:
    """The value of each service on each server.

    Args:
        weights: As drawn.
        features: Shape (batch, edge, service, INPUTS).
    Returns: [O_mj] seconds per task, shape (batch, edge, service).
    """
    entering = features @ weights["first.weight"] + weights["first.bias"]
    if "own.hidden" in weights:
        entering = entering + weights["own.hidden"]
    rows = torch.relu(entering)
    cell = rows.mean(dim=-2, keepdim=True).expand_as(rows)
    second = torch.relu(torch.cat([rows, cell], dim=-1) @ weights["second.weight"] + weights["second.bias"])
    values = second @ weights["value.weight"] + weights["value.bias"]
    return values + weights["own.value"] if "own.value" in weights else values


class Student:
    """The network with what its training goes on from."""

    def __init__(self, how: Distillation, own: tuple[int, int] | None, seed: int) -> None:
        """Begin with random weights.

        Args:
            how: Width, steps and rates.
            own: See ``StudentShape``.
            seed: Draws weights and batches.
        """
        one_thread()
        self._how = how
        self.weights = drawn_student(StudentShape(how.hidden, own), seed)
        self._optimiser = torch.optim.Adam(self.weights.values(), lr=how.learning_rate)
        self._batches = Stream(seed, "/student", "batches", draws=how.steps * how.batch)

    def values(self, features: Singles) -> Singles:
        """The value of each service, shape (frame, edge, service); features of shape (frame, edge, service, INPUTS)."""
        with torch.no_grad():
            parts = [
                student_values(self.weights, torch.from_numpy(features[at : at + CHUNK])).numpy()
                for at in range(0, len(features), CHUNK)
            ]
        return np.concatenate(parts) if parts else np.zeros(features.shape[:-1], dtype=np.float32)

    def rate(self, number: int) -> float:
        """Learning rate of a round."""
        return self._how.learning_rate * (1.0 - number / self._how.rounds)

    def learn(self, number: int, features: Singles, wanted: Singles) -> float:
        """The steps of one round.

        Args:
            number: The round.
            features: Shape (frame, edge, service, INPUTS).
            wanted: What each service was worth, shape (frame, edge, service).
        Returns: Mean loss, squared seconds per task.
        """
        drawn = self._batches.uniforms(number)[0].reshape(self._how.steps, self._how.batch)
        for group in self._optimiser.param_groups:
            group["lr"] = self.rate(number)
        losses = []
        for at in (drawn * len(features)).astype(np.int64):
            values = student_values(self.weights, torch.from_numpy(features[at]))
            loss = ((values - torch.from_numpy(wanted[at])) ** 2).mean()
            self._optimiser.zero_grad()
            loss.backward()
            self._optimiser.step()
            losses.append(float(loss.detach()))
        return float(np.mean(losses))

    def arrays(self) -> Arrays:
        """Everything that learning goes on from, for a checkpoint."""
        return kept(self.weights, {}, self._optimiser)

    def restore(self, arrays: Arrays) -> None:
        """Take back what ``arrays`` gave."""
        restore(arrays, self.weights, {}, self._optimiser)
