"""``python -m monitoring.dashboards [FOLDER]``: write the dashboards' JSON, by default where Grafana reads it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from monitoring.dashboards.grafana import rendered
from monitoring.dashboards.pages import PAGES

FOLDER: Final = Path(__file__).parents[1] / "grafana" / "dashboards"


def write(folder: Path) -> list[Path]:
    """Write every page, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for page in PAGES:
        file = folder / f"{page.name}.json"
        file.write_text(rendered(page), encoding="utf-8")
        files.append(file)
    return files


if __name__ == "__main__":
    for file in write(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER):
        sys.stdout.write(f"{file}\n")
