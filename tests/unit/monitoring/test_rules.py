"""Prometheus's rules speak of metrics that there are."""

from __future__ import annotations

import re
from pathlib import Path

from monitoring.metrics import METRICS

FOLDER = Path(__file__).parents[3] / "monitoring" / "prometheus"
NAME = re.compile(r"(?<![\w:])edgerig_[a-z0-9_]+")
RECORDED = re.compile(r"record: (\S+)")


def names(file: str) -> set[str]:
    rules = (FOLDER / file).read_text(encoding="utf-8")
    return set(NAME.findall(re.sub(r"[\w]+:edgerig_\w+:\w+", "", rules)))


def shown() -> set[str]:
    parts = {f"{m.name}_{part}" for m in METRICS if m.kind == "histogram" for part in ("bucket", "sum", "count")}
    return parts | {metric.name for metric in METRICS}


def test_every_metric_that_a_rule_reads_is_one_of_ours() -> None:
    for file in ("recording.yml", "alerts.yml"):
        found = names(file)
        assert found, file
        assert found <= shown(), f"{file}: {sorted(found - shown())}"


def test_every_recorded_name_that_is_used_is_recorded() -> None:
    recorded = set(RECORDED.findall((FOLDER / "recording.yml").read_text(encoding="utf-8")))
    used = set(re.findall(r"\w+:edgerig_\w+:\w+", (FOLDER / "alerts.yml").read_text(encoding="utf-8")))
    assert used
    assert used <= recorded


def test_every_alert_has_its_line_in_the_documentation_and_its_test() -> None:
    alerts = re.findall(r"alert: (\w+)", (FOLDER / "alerts.yml").read_text(encoding="utf-8"))
    page = (FOLDER.parents[1] / "docs" / "containers.md").read_text(encoding="utf-8")
    tested = (FOLDER / "alerts_test.yml").read_text(encoding="utf-8")
    assert not [alert for alert in alerts if f"`{alert}`" not in page]
    assert not [alert for alert in alerts if f"alertname: {alert}" not in tested]
