"""A page and its figures written beside each other."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from monitoring.runs import Document, ReportError


def write(page: str, document: Document, html: Path) -> Path:
    """Write a page and, beside it, its figures as JSON; each whole or not at all.

    Args:
        page: HTML.
        document: What it shows.
        html: Where the page goes; the figures get the same name with ``.json``.
    Returns: Where the figures are.
    Raises: ReportError: one cannot be written.
    """
    figures = html.with_suffix(".json")
    if figures == html:
        raise ReportError(f"{html}: is where the figures go; give the page a name that ends in .html")
    _write(figures, json.dumps(document, indent=1, allow_nan=False) + "\n")
    _write(html, page)
    return figures


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise ReportError(f"{path}: cannot be written ({error.strerror}); choose another place with --out") from None
