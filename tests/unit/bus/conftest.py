from __future__ import annotations

from collections.abc import Iterator

import bus_numbers
import pytest

from bus.testing import Cluster, cluster


@pytest.fixture
def bus() -> Iterator[Cluster]:
    with cluster() as made:
        yield made


@pytest.fixture
def numbers() -> Iterator[Cluster]:
    with cluster(bus_numbers.TABLE) as made:
        yield made
