"""What a learner goes on from, as arrays for a checkpoint: weights, target network and Adam's moments."""

from __future__ import annotations

import torch

from agents.checkpoint import Arrays

Weights = dict[str, torch.Tensor]


def one_thread() -> None:
    """Let PyTorch compute on one thread and refuse what is not deterministic: sums must not depend on the machine."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


def copied(weights: Weights) -> Weights:
    """The same numbers in tensors of their own, without gradients."""
    return {name: tensor.detach().clone() for name, tensor in weights.items()}


def kept(weights: Weights, target: Weights, optimiser: torch.optim.Optimizer) -> Arrays:
    """Everything as arrays, named ``weights.<name>``, ``target.<name>`` and ``optimiser.<part>.<name>``."""
    found: Arrays = {f"weights.{name}": tensor.detach().numpy() for name, tensor in weights.items()}
    found |= {f"target.{name}": tensor.numpy() for name, tensor in target.items()}
    for name, tensor in weights.items():
        for part, value in optimiser.state.get(tensor, {}).items():
            found[f"optimiser.{part}.{name}"] = value.numpy()
    return found


def restore(arrays: Arrays, weights: Weights, target: Weights, optimiser: torch.optim.Optimizer) -> None:
    """Take back what ``kept`` gave, in place; ``target`` is empty where there is no target network."""
    for name, tensor in weights.items():
        with torch.no_grad():
            tensor.copy_(torch.from_numpy(arrays[f"weights.{name}"]))
        if target:
            target[name] = torch.from_numpy(arrays[f"target.{name}"].copy())
        parts = [key.split(".", 2)[1] for key in arrays if key.startswith("optimiser.") and key.endswith(f".{name}")]
        if parts:
            optimiser.state[tensor] = {
                part: torch.from_numpy(arrays[f"optimiser.{part}.{name}"].copy()) for part in parts
            }
