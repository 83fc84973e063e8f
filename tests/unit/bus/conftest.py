from collections.abc import Iterator

import pytest

from bus.testing import Cluster, cluster


@pytest.fixture
def bus() -> Iterator[Cluster]:
    with cluster() as made:
        yield made
