"""The declarations: complete, well named, and what the documentation says."""

from __future__ import annotations

import re
from pathlib import Path

from monitoring.metric import LABELS
from monitoring.metrics import METRICS, markdown

ROOT = Path(__file__).parents[3]
COUNTED = re.compile(r"""(?:measurements|count)\.(?:counter|gauge|histogram)\(\s*f?"([a-z_]+)\"""")
ALIASED = re.compile(r"(?m)^\s*(\w+) = [\w.]*measurements\.(counter|gauge|histogram)$")


def counted() -> set[str]:
    """Names of measurements in the sources, as far as they are spelled out."""
    found = set()
    for folder in ("agents", "bus", "emulator"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text()
            found |= set(COUNTED.findall(text))
            for alias, _ in ALIASED.findall(text):
                found |= set(re.findall(rf'\b{alias}\(\s*"([a-z_]+)"', text))
    return found


def test_every_measurement_in_the_sources_is_declared() -> None:
    found = counted()
    assert {"tasks", "slot", "node_up", "decisions_missed", "bus_messages_stale"} <= found
    assert found <= {metric.reads for metric in METRICS}


def test_names_say_their_kind() -> None:
    for metric in METRICS:
        assert re.fullmatch(r"edgerig(_[a-z]+)+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name


def test_names_are_declared_once() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)


def test_labels_are_the_agreed_ones() -> None:
    for metric in METRICS:
        assert set(metric.labels) <= LABELS, metric.name


def test_histograms_have_no_service_label() -> None:
    assert not [metric.name for metric in METRICS if metric.kind == "histogram" and "service" in metric.labels]


def test_the_documentation_lists_every_metric() -> None:
    assert markdown() in (ROOT / "docs/metrics.md").read_text()
