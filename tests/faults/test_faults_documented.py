"""docs/faults.md names the tests that hold its rows; they exist."""

from __future__ import annotations

import re

from live_run import ROOT


def test_every_test_that_the_page_names_exists() -> None:
    page = (ROOT / "docs" / "faults.md").read_text()
    file, named = "", 0
    for path, test in re.findall(r"`([a-z_]+/test_[a-z_]+\.py)?(?:::(test_[a-z0-9_]+))?`", page):
        file = path or file
        if test:
            named += 1
            assert f"def {test}(" in (ROOT / "tests" / file).read_text(), f"{file}::{test}"
    assert named > 25
