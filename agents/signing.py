"""Signed manifests: who vouches for an agent, down to the last byte of every file that it names.

What is signed is the manifest with all defaults, as JSON with sorted keys, in which ``sha256`` is the hash of the files
as they are. So neither a comment nor the order of keys matters, and no file can change.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from agents.errors import AgentError
from bus.signatures import NoSignatures, fresh_pair, is_signed, sign

KEYRING: Final = "EDGERIG_KEYRING"
"""Names the keyring that everything which is started must be signed by."""
ENDING: Final = ".sig"
OTHERS_READ: Final = 0o077


def canonical(manifest: Mapping[str, Any], sha256: str) -> bytes:
    """The bytes that are signed."""
    facts = {**manifest, "sha256": sha256}
    return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def make_key(path: Path, name: str) -> Path:
    """Write a fresh secret key, and beside it, with the ending ``.pub``, a line for keyrings.

    Args:
        path: Of the secret key, for its owner's eyes only; it must not exist.
        name: Whose key it is.
    Returns: The path of the line.
    Raises: AgentError: a file is there already, or cannot be written.
    """
    public, secret = _by_sodium(fresh_pair)
    line = path.with_name(f"{path.name}.pub")
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(secret.hex() + "\n")
        line.write_text(f"{public.hex()} {name}\n", encoding="utf-8")
    except OSError as error:
        raise AgentError(f"{path}: {error.strerror}; give the path of a new file") from None
    return line


def sign_manifest(path: Path, signed: bytes, key: Path) -> Path:
    """Write the signature beside a manifest; returns its path.

    Raises: AgentError: the key cannot be used, or the signature not written.
    """
    try:
        if key.stat().st_mode & OTHERS_READ:
            raise AgentError(f"{key}: is open to others; chmod 600 {key}")
        secret = bytes.fromhex(key.read_text(encoding="ascii"))
        made = _by_sodium(lambda: sign(signed, secret))
        text = f'key = "{secret[32:].hex()}"\nsignature = "{made.hex()}"\n'
        place = path.with_name(path.name + ENDING)
        place.write_text(text, encoding="ascii")
    except (ValueError, UnicodeDecodeError):
        raise AgentError(f"{key}: holds no secret key; `edgerig agent key {key}` makes one in a new file") from None
    except OSError as error:
        raise AgentError(f"{error.filename}: {error.strerror}; check the path") from None
    return place


def check_signed(path: Path, signed: bytes, keyring: Path) -> str:
    """Who of a keyring has signed a manifest; returns the name.

    Raises: AgentError: nobody.
    """
    place = path.with_name(path.name + ENDING)
    known = read_keyring(keyring)
    try:
        document = tomllib.loads(place.read_text(encoding="ascii"))
        public, signature = (bytes.fromhex(document[name]) for name in ("key", "signature"))
    except FileNotFoundError:
        raise AgentError(f"{path}: is not signed; `edgerig agent sign` writes {place.name} beside it") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise AgentError(f"{place}: is no signature; `edgerig agent sign` writes it anew") from None
    if public not in known:
        raise AgentError(f"{path}: is signed by a key that is not in {keyring}; add its line if you trust it")
    if not _by_sodium(lambda: is_signed(signed, signature, public)):
        raise AgentError(f"{path}: has changed since it was signed, or its files have; look, and sign it again")
    return known[public]


def read_keyring(path: Path) -> dict[bytes, str]:
    """Names by public key, of lines ``PUBLIC NAME``; what begins with # is passed over.

    Raises: AgentError: it cannot be read.
    """
    found: dict[bytes, str] = {}
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip() and not line.startswith("#"):
                public, _, name = line.strip().partition(" ")
                found[bytes.fromhex(public)] = name.strip()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "has a line that is not PUBLIC NAME"
        raise AgentError(f"{path}: {why}; a keyring has the lines of .pub files") from None
    return found


def _by_sodium(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except NoSignatures as error:
        raise AgentError(str(error)) from None
