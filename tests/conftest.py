"""Makes ``tests/`` importable (helpers that several kinds of tests share lie beside this file), and lends live runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from live_run import LiveRun

Start = Callable[..., LiveRun]


def _lend(folder: Any) -> Iterator[Start]:
    runs: list[LiveRun] = []

    def start(*arguments: Any, **options: Any) -> LiveRun:
        run = LiveRun(options.pop("folder", folder), *arguments, **options)
        runs.append(run)
        return run

    yield start
    left = [pid for run in runs for pid in run.close()]
    assert not left, f"processes {left} outlived their run"


@pytest.fixture
def live(tmp_path: Any) -> Iterator[Start]:
    """Starts runs as real processes; the test fails if one of them survives its launcher."""
    yield from _lend(tmp_path)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """The same for runs that several tests share."""
    yield from _lend(tmp_path_factory.mktemp("lasting"))
