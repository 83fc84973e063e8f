"""What can go wrong in a decision maker; a leaf only where a caller acts differently."""

from __future__ import annotations


class AgentError(Exception):
    """Root of every error of the decision makers: what, where, remedy, in one line."""


class SolverFailed(AgentError):
    """A scheduler found no schedule within its tolerance."""


class ExtraMissing(AgentError):
    """An extra is not installed here; elsewhere it may be."""
