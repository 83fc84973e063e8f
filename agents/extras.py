"""Whether the extra ``learn`` is installed, asked before work is done in vain."""

from __future__ import annotations

import importlib.util

from agents.errors import ExtraMissing


def require_torch() -> None:
    """Raises: ExtraMissing: PyTorch is not installed."""
    if importlib.util.find_spec("torch") is None:
        raise ExtraMissing("training needs PyTorch; install the extra 'learn': pip install -e '.[learn]'")


def require_onnx() -> None:
    """Raises: ExtraMissing: onnx is not installed."""
    if importlib.util.find_spec("onnx") is None:
        raise ExtraMissing("an export needs onnx; install the extra 'learn': pip install -e '.[learn]'")
