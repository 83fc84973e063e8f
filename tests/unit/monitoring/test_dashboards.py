"""Dashboards: the JSON is what the code makes, Grafana's schema takes it, and it speaks of what there is."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.dashboards.__main__ import FOLDER, write
from monitoring.dashboards.declared import Page, Panel
from monitoring.dashboards.grafana import SOURCE
from monitoring.dashboards.pages import PAGES
from monitoring.dashboards.traffic import ROLE
from monitoring.metrics import METRICS

ROOT = Path(__file__).parents[3]
PROVISIONING = ROOT / "monitoring" / "grafana" / "provisioning"
COLUMNS = 24
PROMETHEUS_OWN = {"up", "scrape_duration_seconds", "ALERTS"}
UIDS = 40
"""Characters that Grafana's uid may have."""

PANELS = [pytest.param(page, panel, id=f"{page.name}: {panel.title}") for page in PAGES for panel in page.panels()]


def document(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{page.name}.json").read_text(encoding="utf-8"))
    return found


def test_the_json_is_what_the_code_makes(tmp_path: Path) -> None:
    made = {file.name: file.read_text(encoding="utf-8") for file in write(tmp_path)}
    there = {file.name: file.read_text(encoding="utf-8") for file in FOLDER.iterdir()}
    assert made == there, "python -m monitoring.dashboards writes them anew"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_grafanas_schema_takes_it_whole(page: Page) -> None:
    register_default_plugins()
    written = document(page)
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(written)))
    for each in (*read["links"], *read["annotations"]["list"]):
        del each["placement"]
    assert read == written, "what the schema does not know it leaves out"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_panels_lie_side_by_side(page: Page) -> None:
    panels = document(page)["panels"]
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= COLUMNS, panel["title"]
    for one, other in combinations(panels, 2):
        a, b = one["gridPos"], other["gridPos"]
        apart = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert apart or above, f"{one['title']} lies on {other['title']}"


def test_names_and_numbers_are_given_once() -> None:
    uids = [page.uid for page in PAGES]
    assert len(set(uids)) == len(uids)
    assert all(len(uid) <= UIDS for uid in uids)
    for page in PAGES:
        ids = [panel["id"] for panel in document(page)["panels"]]
        titles = [panel.title for panel in page.panels()]
        assert len(set(ids)) == len(ids)
        assert len(set(titles)) == len(titles)


def test_every_query_asks_the_data_source_that_is_provisioned() -> None:
    provisioned = (PROVISIONING / "datasources" / "prometheus.yml").read_text(encoding="utf-8")
    assert re.findall(r"(?m)^    uid: (\S+)$", provisioned) == [SOURCE]
    for page in PAGES:
        found = document(page)
        asked = [panel["datasource"] for panel in found["panels"] if panel["type"] not in ("row", "text")]
        asked += [each["datasource"] for each in (*found["annotations"]["list"], *found["templating"]["list"])]
        assert asked
        assert all(source == {"type": "prometheus", "uid": SOURCE} for source in asked), page.name


def test_grafanas_container_has_what_the_provisioning_names() -> None:
    compose = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    mounted = dict(re.findall(r"- (\./monitoring/grafana/\S+?):(\S+):ro", compose))
    assert {ROOT / source for source in mounted} == {PROVISIONING, FOLDER}
    at = {(ROOT / source).resolve(): target for source, target in mounted.items()}
    assert at[PROVISIONING.resolve()] == "/etc/grafana/provisioning"
    provider = (PROVISIONING / "dashboards" / "edgerig.yml").read_text(encoding="utf-8")
    assert re.findall(r"path: (\S+)", provider) == [at[FOLDER.resolve()]]
    home = re.findall(r"DEFAULT_HOME_DASHBOARD_PATH: (\S+)", compose)
    assert [f"{at[FOLDER.resolve()]}/{PAGES[0].name}.json"] == home


def known() -> set[str]:
    parts = {f"{m.name}_{part}" for m in METRICS if m.kind == "histogram" for part in ("bucket", "sum", "count")}
    rules = (ROOT / "monitoring" / "prometheus" / "recording.yml").read_text(encoding="utf-8")
    return parts | {metric.name for metric in METRICS} | set(re.findall(r"record: (\S+)", rules))


@pytest.mark.parametrize(("page", "panel"), PANELS)
def test_a_panel_says_what_it_shows_of_metrics_that_there_are(page: Page, panel: Panel) -> None:
    assert panel.description.endswith(".") or panel.view == "text"
    assert bool(panel.queries) != (panel.view == "text")
    assert panel.unit
    for query in panel.queries:
        names = set(re.findall(r"(?:\w+:)?edgerig_[a-z0-9_]+(?::\w+)?|\bup\b|\bscrape_\w+|\bALERTS\b", query.expr))
        assert names, query.expr
        assert names <= known() | PROMETHEUS_OWN, query.expr
        assert 'run="$run"' in query.expr, "another run's data would be shown too"
        assert page.asks_edge or "$edge" not in query.expr
        labels = re.findall(r"{{(\w+)}}", query.legend)
        assert all(label in query.expr or "by (" not in query.expr for label in labels), query.legend


def test_every_event_reads_metrics_that_there_are() -> None:
    for page in PAGES:
        assert page.events
        for event in page.events:
            names = set(re.findall(r"edgerig_[a-z0-9_]+", event.expr))
            assert names
            assert names <= known()


def test_every_page_is_reached_from_every_other() -> None:
    for page in PAGES:
        found = document(page)
        assert [link["tags"] for link in found["links"] if link["type"] == "dashboards"] == [["edgerig"]]
        assert "edgerig" in found["tags"]
        assert [variable["name"] for variable in found["templating"]["list"]] == ["run", "edge"][: 1 + page.asks_edge]


@pytest.mark.parametrize(
    ("name", "role"),
    [("/edge/31", "edge"), ("edge-0-4", "edge"), ("edges", "edge"), ("hub", "hub"), ("agent-3-swap-1", "agent")],
)
def test_processes_nodes_and_many_receivers_have_the_same_role_in_the_matrix(name: str, role: str) -> None:
    found = re.fullmatch(ROLE.strip('"'), name)
    assert found is not None
    assert found[1] == role
