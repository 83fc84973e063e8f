"""The keystore: a folder with a key pair for the hub and one enrolment pair for each role.

``ROLE.key`` holds a pair and is for its owner's eyes only; ``ROLE.pub`` holds the public key, which is all that the hub
needs of the others, and all that the others need of the hub; ``revoked`` lists public keys that are worth nothing.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from zmq.utils import z85

from bus.credentials import GRANTS, HUB, KEYED_ROLES, LAUNCHER, OBSERVER, Credential, KeyPair, Keys
from bus.errors import KeystoreError

PAIR: Final = ".key"
ALONE: Final = ".pub"
REVOKED: Final = "revoked"
Z85_CHARACTERS: Final = 40
KEY_BYTES: Final = 32
OTHERS_READ: Final = 0o077
OTHERS_WRITE: Final = 0o022


@dataclass(frozen=True, slots=True)
class Listed:
    """What `edgerig keys list` tells of one role."""

    role: str
    public: str
    made: str
    secret_here: bool


class Keystore:
    """Reads, and for its owner changes, one folder of keys.

    Raises (every method): KeystoreError: what is wrong with which file, and the remedy.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not folder.is_dir():
            raise KeystoreError(folder, "is no folder", f"make one with `edgerig keys create {folder}`")
        _check_mode(folder, OTHERS_WRITE)

    # -- reading -------------------------------------------------------------------------------------------------------

    def public(self, role: str) -> str:
        """The public key of a role."""
        path = self.folder / f"{role}{ALONE}"
        _check_mode(path, OTHERS_WRITE)
        return _key(path, _read(path), "public")

    def pair(self, role: str) -> KeyPair:
        """The key pair of a role; refused when others than its owner may read the file."""
        path = self.folder / f"{role}{PAIR}"
        _check_mode(path, OTHERS_READ)
        document = _read(path)
        return KeyPair(_key(path, document, "public"), _key(path, document, "secret"))

    def has(self, role: str) -> bool:
        """Whether the key pair of a role is here."""
        return (self.folder / f"{role}{PAIR}").exists()

    def keys(self, role: str) -> Keys:
        """What a process of a role starts with: the hub its own pair, everyone else a fresh one and the enrolment's."""
        if role == HUB:
            own = self.pair(HUB)
            return Keys(own, own.public)
        enrolment = {role: self.pair(GRANTS.get(role, role))}
        if role == LAUNCHER:
            enrolment[OBSERVER] = enrolment[LAUNCHER]
        return Keys(KeyPair.fresh(), self.public(HUB), enrolment, operator=role == LAUNCHER)

    def credential(self, role: str) -> Credential:
        """How a caller that is no process on the bus shows itself to the hub."""
        return Credential(self.pair(role), self.public(HUB))

    def revoked(self) -> frozenset[str]:
        """Public keys that are worth nothing any more."""
        path = self.folder / REVOKED
        try:
            return frozenset(line.split()[0] for line in path.read_text(encoding="ascii").splitlines() if line.strip())
        except FileNotFoundError:
            return frozenset()
        except (OSError, ValueError) as error:
            raise KeystoreError(path, f"cannot be read ({error})", "mend it, or restore it from a copy") from None

    def roles(self) -> list[Listed]:
        """Every role that has a public key here."""
        found = []
        for role in KEYED_ROLES:
            path = self.folder / f"{role}{ALONE}"
            if path.exists():
                document = _read(path)
                made = str(document.get("made", "?"))
                found.append(Listed(role, _key(path, document, "public"), made, self.has(role)))
        return found

    # -- changing ------------------------------------------------------------------------------------------------------

    @classmethod
    def create(cls, folder: Path) -> Keystore:
        """Make a folder with a pair for each role; an existing keystore is never written over."""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise KeystoreError(folder, f"cannot be made ({error.strerror})", "choose another folder") from None
        store = cls(folder)
        if any(folder.glob(f"*{PAIR}")) or any(folder.glob(f"*{ALONE}")):
            raise KeystoreError(folder, "holds keys already", f"renew them with `edgerig keys rotate {folder}`")
        store.rotate(KEYED_ROLES)
        return store

    def rotate(self, roles: Iterable[str]) -> None:
        """Give each role a new pair. A running hub takes the new ones at once; who is in stays in."""
        for role in roles:
            pair, made = KeyPair.fresh(), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            head = f'# edgerig: role {role}\nmade = "{made}"\npublic = "{pair.public}"\n'
            # The secret first: whoever sees the new public key must find the pair that goes with it.
            _write(self.folder / f"{role}{PAIR}", head + f'secret = "{pair.secret}"\n')
            _write(self.folder / f"{role}{ALONE}", head)

    def revoke(self, role: str) -> str:
        """A role's enrolment key is worth nothing from now on, nor is what it let in; returns the public key."""
        public = self.public(role)
        lines = "".join(f"{key}\n" for key in sorted(self.revoked() | {public}))
        _write(self.folder / REVOKED, lines)
        for ending in (ALONE, PAIR):
            (self.folder / f"{role}{ending}").unlink(missing_ok=True)
        return public


class Enrolled:
    """The enrolment keys that a hub grants leases to, as the keystore has them now."""

    def __init__(self, store: Keystore) -> None:
        self.revoked: frozenset[str] = frozenset()
        self._store = store
        self._roles: dict[str, str] = {}
        self._seen = -1
        self.refresh()

    def role(self, key: str) -> str:
        """The role that a public key enrols; empty if none."""
        return self._roles.get(key, "")

    def refresh(self) -> bool:
        """Read the folder again if it has changed; returns whether it had.

        Raises: KeystoreError: it cannot be read; what was known stays known.
        """
        try:
            changed_ns = self._store.folder.stat().st_mtime_ns
        except OSError as error:
            raise KeystoreError(self._store.folder, f"is gone ({error.strerror})", "bring it back") from None
        if changed_ns == self._seen:
            return False
        revoked = self._store.revoked()
        roles = {listed.public: listed.role for listed in self._store.roles() if listed.role != HUB}
        self._roles = {key: role for key, role in roles.items() if key not in revoked}
        self.revoked = revoked
        self._seen = changed_ns
        return True


def _read(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        remedy = "this folder has no key for that role; copy it here, or make it with `edgerig keys rotate`"
        raise KeystoreError(path, "is missing", remedy) from None
    except (OSError, ValueError) as error:
        raise KeystoreError(path, f"cannot be read ({error})", "restore it, or `edgerig keys rotate` it") from None


def _key(path: Path, document: dict[str, object], name: str) -> str:
    key = document.get(name)
    if not isinstance(key, str) or len(key) != Z85_CHARACTERS:
        raise KeystoreError(path, f"has no {name} key of {Z85_CHARACTERS} characters", "restore it, or rotate it")
    return key


def is_key(text: str) -> bool:
    """Whether a text is a key in Z85, as libzmq takes it."""
    try:
        return len(text) == Z85_CHARACTERS and len(z85.decode(text.encode("ascii"))) == KEY_BYTES
    except (UnicodeEncodeError, ValueError, KeyError, struct.error):
        return False


def _check_mode(path: Path, forbidden: int) -> None:
    try:
        facts = path.stat()
    except FileNotFoundError:
        return  # whoever reads it says so
    if facts.st_mode & forbidden:
        wanted = "700" if path.is_dir() else "600"
        raise KeystoreError(path, f"is open to others (mode {facts.st_mode & 0o777:o})", f"chmod {wanted} {path}")
    if facts.st_uid not in (os.geteuid(), 0):
        raise KeystoreError(path, f"belongs to user {facts.st_uid}", "use a keystore of your own")


def _write(path: Path, text: str) -> None:
    """Put a whole file in place at once, readable by its owner only from its first byte on."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(text)
        fresh.replace(path)
    except OSError as error:
        raise KeystoreError(path, f"cannot be written ({error.strerror})", "make room, or mend its rights") from None
