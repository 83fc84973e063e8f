"""The books: what must balance, and what a run adds up to."""

import numpy as np
import pytest

from emulator.model.ledger import Broken, SlotRow, Totals, close_frame, settle, sums_of
from emulator.model.serving import Ends

EDGES = np.array([1.0, 2.0, 4.0])


def ends_of(
    local: float = 2.0, peer: float = 1.0, cloud: float = 1.0, dropped: float = 0.0, arrived: float | None = None
) -> Ends:
    """Two cells alike, one service; a local task takes 1 s, another 3 s, in the cloud all take 10 s."""
    arrived = local + peer + cloud + dropped if arrived is None else arrived
    cost, all_cloud = local * 1.0 + (peer + cloud) * 3.0, (local + peer + cloud) * 10.0
    columns = [np.full((2, 1), value) for value in (arrived, local, peer, cloud, dropped, cost, all_cloud)]
    return Ends._make([*columns, np.tile(np.array([local, 0.0, peer + cloud, 0.0]), (2, 1))])


def test_a_slot_by_hand() -> None:
    row = settle(7, 1, ends_of(dropped=1.0))
    assert row == SlotRow(7, 1, 10.0, 2.0, 10.0, 8.0, 4.0, 2.0, 2.0, 2.0, 0.0)


@pytest.mark.parametrize("arrived", [3.0, 5.0, 4.0 + 1e-6, np.nan])
def test_a_task_that_is_lost_or_ends_twice_breaks_the_books(arrived: float) -> None:
    with pytest.raises(Broken, match="slot 3"):
        settle(3, 0, ends_of(arrived=arrived))


def test_rounding_does_not_break_the_books() -> None:
    settle(0, 0, ends_of(arrived=4.0 * (1.0 + 1e-12)))


def test_tasks_in_flight_are_carried_from_slot_to_slot() -> None:
    settle(0, 0, ends_of(arrived=6.0), in_flight=4.0)
    settle(1, 0, ends_of(arrived=3.0), in_flight=2.0, before=4.0)
    with pytest.raises(Broken, match="in flight"):
        settle(1, 0, ends_of(arrived=3.0), in_flight=3.0, before=4.0)


def test_sums_given_are_sums_used() -> None:
    ends = ends_of()
    assert settle(0, 0, ends, sums=sums_of(ends)) == settle(0, 0, ends)


def test_a_frame_adds_gains_and_weighs_delays_by_completed_tasks() -> None:
    rows = [settle(0, 0, ends_of()), settle(1, 0, ends_of(local=4.0, peer=0.0, cloud=0.0, dropped=2.0))]
    frame = close_frame(rows, deployed=9, refused=1)
    assert frame.reward_s == pytest.approx(8.0 + 9.0)
    assert frame.delay_s == pytest.approx((8 * 2.0 + 8 * 1.0) / 16)
    assert (frame.tasks, frame.deployed, frame.refused) == (20.0, 9, 1)


def test_a_frame_without_tasks_has_delay_zero() -> None:
    assert close_frame([settle(0, 0, ends_of(0.0, 0.0, 0.0))], 0, 0).delay_s == 0.0


def test_a_frame_weighs_by_what_completed_where_tasks_outlive_their_slot() -> None:
    first = settle(0, 0, ends_of(arrived=6.0), in_flight=4.0)
    second = settle(1, 0, ends_of(local=4.0, peer=0.0, cloud=0.0, arrived=2.0), before=4.0)
    assert close_frame([first, second], 0, 0).delay_s == pytest.approx((8 * 2.0 + 8 * 1.0) / 16)


def test_a_frame_that_completes_less_than_a_task_has_its_delay() -> None:
    row = settle(0, 0, ends_of(local=0.125, peer=0.0, cloud=0.0, dropped=0.875))
    assert close_frame([row], 0, 0).delay_s == pytest.approx(1.0)


def totals_of(*slots: Ends) -> Totals:
    totals = Totals(EDGES)
    for k, ends in enumerate(slots):
        totals.add_slot(settle(k, 0, ends), ends)
    return totals


def test_a_run_adds_up_its_slots() -> None:
    totals = totals_of(ends_of(), ends_of(local=0.0, dropped=3.0))
    totals.add_frame(close_frame([settle(0, 0, ends_of())], 0, 0))
    facts = totals.facts()
    assert facts["tasks"] == {"local": 4.0, "peer": 4.0, "cloud": 4.0, "dropped": 6.0, "in_flight": 0.0}
    assert facts["delay_s"]["mean"] == pytest.approx((4 * 1.0 + 8 * 3.0) / 12)  # type: ignore[index]
    assert facts["all_cloud_delay_s"] == pytest.approx(10.0)
    assert facts["reward"] == {"mean": 8.0, "total": 8.0}
    assert totals.histogram.sum() == totals.completed == 12.0


def test_quantiles_lie_in_their_bucket() -> None:
    totals = totals_of(ends_of())  # half below 1 s, half between 2 s and 4 s
    assert totals.quantile_s(0.25) == pytest.approx(0.5)
    assert totals.quantile_s(0.5) == pytest.approx(1.0)
    assert totals.quantile_s(0.75) == pytest.approx(3.0)
    assert totals.quantile_s(1.0) == pytest.approx(4.0)


def test_a_quantile_beyond_the_last_bucket_is_its_lower_end() -> None:
    totals = Totals(EDGES)
    totals.histogram[-1] = 5.0
    assert totals.quantile_s(0.5) == 4.0


def test_a_run_without_tasks_has_facts_all_the_same() -> None:
    totals = totals_of(ends_of(0.0, 0.0, 0.0))
    assert totals.quantile_s(0.5) == 0.0
    assert totals.facts()["delay_s"] == {"mean": 0.0, "p50": 0.0, "p95": 0.0}
