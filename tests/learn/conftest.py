"""Everything here needs the extra ``learn``: marked so, and skipped with a reason where PyTorch or onnx is missing."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.learn)
