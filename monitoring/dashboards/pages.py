"""All dashboards; the first is the one that Grafana opens with."""

from __future__ import annotations

from typing import Final

from monitoring.dashboards import deciding, health, one_edge, overview, traffic
from monitoring.dashboards.declared import Page

PAGES: Final[tuple[Page, ...]] = (overview.PAGE, one_edge.PAGE, traffic.PAGE, deciding.PAGE, health.PAGE)
