"""The digest of a run: SHA-256 over what was committed, the same for every way of running a scenario.

Per slot the marked messages are sorted by topic (which names the source) and round; each contributes its topic, round
and the SHA-256 of its payload. Stamps, sequences, instances and attempts are left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

Entry = tuple[str, int, bytes]
"""Topic, round, SHA-256 of the payload."""


class RunDigest:
    """Adds slot after slot."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def commit(self, slot: int, entries: Iterable[Entry]) -> None:
        """Add one committed slot's messages, in any order."""
        lines = [f"{slot} {topic} {round_} {payload.hex()}\n" for topic, round_, payload in sorted(entries)]
        self._hash.update("".join(lines).encode())

    def hex(self) -> str:
        """The digest of all slots so far."""
        return self._hash.hexdigest()
