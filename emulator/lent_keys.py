"""What an agent shows, where a program may read it that runs as nobody: the keystore is for its owner's eyes only."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

from bus.errors import KeystoreError

SHOWN: Final = ("hub.pub", "agent.key")
MEMORY: Final = Path("/dev/shm")  # noqa: S108 -- what is made there has a fresh name and rights of its own
"""Secrets need not touch a disk."""


def lend(store: Path, user: int) -> Path:
    """A folder of that user's with a copy of what an agent needs; whoever has asked removes it.

    Raises: KeystoreError: the keystore has no such key, or there is no room.
    """
    try:
        place = MEMORY if os.access(MEMORY, os.W_OK | os.X_OK) else None
        folder = Path(tempfile.mkdtemp(prefix="edgerig-keys-", dir=place))
        for name in SHOWN:
            copy = folder / name
            copy.touch(mode=0o600)
            copy.write_bytes((store / name).read_bytes())
            os.chown(copy, user, user)
        os.chown(folder, user, user)
    except OSError as error:
        raise KeystoreError(store, f"an agent's keys cannot be lent ({error})", "see `edgerig keys list`") from None
    return folder
