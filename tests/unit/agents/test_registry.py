"""Policies by name: what registers itself late, and what is lent for a while."""

from __future__ import annotations

import pytest

from agents.errors import AgentError
from agents.registry import Registry


def _registry() -> Registry[int, str]:
    """One whose own policies register themselves once, when somebody first asks: as modules do when imported."""
    imported: list[str] = []

    def load() -> None:
        if not imported:
            imported.append("baselines")
            registry.register("popularity", "local")(lambda setting, argument: f"popularity {setting}{argument}")
            registry.register("marginal-greedy", "network")(lambda setting, argument: f"greedy {setting}{argument}")

    registry: Registry[int, str] = Registry(load)
    return registry


def test_a_policy_that_was_lent_leaves_all_others_known() -> None:
    """Nobody has asked before it was lent: those that register themselves meanwhile do so once only, and must stay."""
    registry = _registry()
    with registry.lent("diary", "local", lambda setting, argument: f"diary {setting}{argument}"):
        assert registry.make("diary:x", 3) == "diary 3x"
        assert registry.names() == ["diary", "marginal-greedy", "popularity"]
    assert registry.names() == ["marginal-greedy", "popularity"]
    assert registry.observes("marginal-greedy") == "network"
    with pytest.raises(AgentError, match="no such policy; known: marginal-greedy, popularity"):
        registry.make("diary", 3)


def test_a_name_that_was_lent_over_means_what_it_meant_before() -> None:
    registry = _registry()

    def fail_meanwhile() -> None:
        with registry.lent("popularity", "network", lambda _setting, _argument: "a stranger"):
            assert registry.make("popularity", 3) == "a stranger"
            raise KeyError

    with pytest.raises(KeyError):
        fail_meanwhile()
    assert (registry.make("popularity", 3), registry.observes("popularity")) == ("popularity 3", "local")
