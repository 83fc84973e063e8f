"""The arguments of `edgerig node start`."""

from __future__ import annotations

import pytest

from bus.names import Remap
from emulator.start_options import parser


@pytest.mark.parametrize("words", [[], ["--remap", "/a:=/b"], ["--namespace", "/lab"]])
def test_rules_are_a_list_whether_any_are_given_or_not(words: list[str]) -> None:
    rules = parser().parse_args(["edge", *words]).remap
    assert len(rules) == len(words) // 2
    Remap(rules)
