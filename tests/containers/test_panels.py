"""Every query of every dashboard returns data from the run that is to prove it: a real Prometheus beside real runs."""

from __future__ import annotations

import importlib.util
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from proving_runs import LAST_S, SCENARIOS, Proofs, Series

from monitoring.dashboards.declared import Event, Page, Panel, Query
from monitoring.dashboards.pages import PAGES
from monitoring.dashboards.picture import draw

pytestmark = pytest.mark.containers

QUERIES = [
    pytest.param(panel, query, id=f"{page.name}: {panel.title} {number}".strip())
    for page in PAGES
    for panel in page.panels()
    for number, query in enumerate(panel.queries)
]
EVENTS = {event.name: event for page in PAGES for event in page.events}


@pytest.fixture(scope="module")
def proofs(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proofs]:
    assert importlib.util.find_spec("torch"), "one run learns, which needs PyTorch: make learn-setup"
    made = Proofs(tmp_path_factory.mktemp("proofs"))
    try:
        made.start()
        made.go_through()
        yield made
    finally:
        made.close()


def finite(found: list[Series]) -> list[float]:
    return [value for _, values in found for _, value in values if math.isfinite(value)]


def test_the_runs_last_a_minute_of_scrapes(proofs: Proofs) -> None:
    assert LAST_S >= 60.0
    for name in SCENARIOS:
        [(_, slots)] = proofs.range(f'edgerig_slot_number{{run="{name}"}}')
        assert len(slots) >= 30, name
        assert slots[-1][1] > slots[0][1], name


@pytest.mark.parametrize(("panel", "query"), QUERIES)
def test_a_query_returns_data_from_its_proving_run(proofs: Proofs, panel: Panel, query: Query) -> None:
    found = proofs.shown(query.expr, panel.proved_by(query))
    values = finite(found)
    assert values, f"no data: {query.expr}"
    assert query.calm or any(values), f"nothing but 0: {query.expr}"
    for label in re.findall(r"{{(\w+)}}", query.legend):
        assert all(labels.get(label) for labels, _ in found), f"no label {label}: {query.expr}"


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_an_event_is_marked_in_its_proving_run(proofs: Proofs, event: Event) -> None:
    found = proofs.shown(event.expr, event.proof)
    assert finite(found), event.expr
    for label in re.findall(r"{{(\w+)}}", event.text):
        assert all(label in labels for labels, _ in found), f"no label {label}: {event.expr}"
    if event.is_time:  # milliseconds, of this hour
        assert all(abs(value / 1000.0 - proofs.began_s) < 3600.0 for value in finite(found))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_can_be_drawn(proofs: Proofs, page: Page, tmp_path: Path) -> None:
    """EDGERIG_PICTURES=docs/img keeps the pictures of the documentation."""
    folder = Path(os.environ.get("EDGERIG_PICTURES") or tmp_path)
    file = folder / f"grafana_{page.name.replace('-', '_')}.png"
    draw(page, lambda panel, query: proofs.shown(query.expr, panel.proved_by(query)), file)
    assert file.stat().st_size > 10_000


def test_what_a_page_asks_for_can_be_chosen(proofs: Proofs) -> None:
    assert set(proofs.values("run", "edgerig_slot_number")) == set(SCENARIOS)
    chosen = 'edgerig_decision_seconds_count{run="offloading"}'
    assert set(proofs.values("edge", chosen)) == {str(n) for n in range(5)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_panel_shows_more_series_than_can_be_told_apart(proofs: Proofs, page: Page) -> None:
    for panel in page.panels():
        for query in panel.queries:
            if panel.view not in ("table", "matrix", "timeline"):
                found = proofs.shown(query.expr, panel.proved_by(query))
                at_once: dict[float, int] = {}
                for _, values in found:
                    for moment, _value in values:
                        at_once[moment] = at_once.get(moment, 0) + 1
                assert max(at_once.values()) <= 12, panel.title
