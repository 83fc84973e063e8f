"""All dashboards."""

from __future__ import annotations

from typing import Final

from monitoring.dashboards import overview
from monitoring.dashboards.declared import Page

PAGES: Final[tuple[Page, ...]] = (overview.PAGE,)
