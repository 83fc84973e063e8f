"""Where a process or a tool finds its keys: a folder named by EDGERIG_KEYS. Only paths travel, never a secret."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Final

from bus.credentials import Credential, Keys
from bus.errors import KeystoreError
from bus.keystore import Keystore

VARIABLE: Final = "EDGERIG_KEYS"
OPEN: Final = "--open-to-the-network-without-keys"


def use(folder: str) -> None:
    """From here on this process, and those that it starts, use a keystore."""
    os.environ[VARIABLE] = str(Path(folder).resolve())


def keystore(folder: Path | None = None) -> Keystore | None:
    """The keystore in use: the one given, else that of EDGERIG_KEYS; None if there is neither.

    Raises: KeystoreError: it cannot be used.
    """
    place = folder or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    return Keystore(place) if place is not None else None


def keys_of(role: str, folder: Path | None = None) -> Keys | None:
    """What a process of a role starts with; None without a keystore.

    Raises: KeystoreError: the keystore has no such key, or is not as it must be.
    """
    store = keystore(folder)
    return store.keys(role) if store is not None else None


def credential_of(role: str, folder: Path | None = None) -> Credential | None:
    """How a caller from outside the bus shows itself; None without a keystore.

    Raises: KeystoreError: the keystore has no such key, or is not as it must be.
    """
    store = keystore(folder)
    return store.credential(role) if store is not None else None


def check_reach(address: str, *, is_open: bool) -> None:
    """Refuse to listen beyond this machine without keys, unless that is asked for by name.

    Raises: KeystoreError: it would.
    """
    if is_open or os.environ.get(VARIABLE) or _is_loopback(address):
        return
    remedy = f"give --keys DIR (`edgerig keys create DIR`), or {OPEN}"
    raise KeystoreError(Path(f"--bind {address}"), "would let anybody on the network in", remedy)


def _is_loopback(address: str) -> bool:
    if address in ("localhost", "lo"):
        return True
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False
