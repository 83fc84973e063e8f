from __future__ import annotations

import pytest

from bus import messages, topics
from bus.errors import UnknownTopic
from bus.qos import Qos


@pytest.mark.parametrize(
    ("topic", "message"),
    [
        ("/cell/12/arrivals", messages.Arrivals),
        ("/edge/3/offload/cloud", messages.Offload),
        ("/cell/3/offload/7", messages.Offload),
        ("/cloud/completed/4", messages.Completed),
        ("/edge/1/completed/4", messages.Completed),
        ("/cell/0/outcome", messages.Outcome),
        ("/process/edge-3/done", messages.Done),
    ],
)
def test_a_concrete_topic_finds_its_row(topic: str, message: type[messages.Message]) -> None:
    assert topics.match(topic).message is message


def test_a_typo_is_an_error_that_suggests_the_row() -> None:
    with pytest.raises(UnknownTopic, match=r"did you mean /edge/\{m\}/outcome\?"):
        topics.match("/edge/3/outcom")


@pytest.mark.parametrize(
    "topic", ["/agent/3/outcome", "/edge/x/outcome", "/edge/3/outcome/", "/edge/3/offload/hub", ""]
)
def test_what_fits_no_row_is_refused(topic: str) -> None:
    with pytest.raises(UnknownTopic):
        topics.match(topic)


def test_world_topics_are_reliable_and_digests_are_data() -> None:
    assert all(row.qos.reliable for row in topics.TABLE.rows if row.pattern != "/log")
    assert all(row.plane == "data" for row in topics.TABLE.rows if row.digest)


def test_a_history_shorter_than_the_depth_is_misuse() -> None:
    with pytest.raises(ValueError, match="depth"):
        Qos(depth=5, history=4)
