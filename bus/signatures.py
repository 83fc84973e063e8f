"""Ed25519 by libsodium, which pyzmq's wheels bring along for CURVE: who signed some bytes. Nothing here is our own."""

from __future__ import annotations

import ctypes
import ctypes.util
from functools import cache
from pathlib import Path
from typing import Final

import zmq

PUBLIC_BYTES: Final = 32
SECRET_BYTES: Final = 64
SIGNATURE_BYTES: Final = 64


class NoSignatures(Exception):
    """There is no libsodium here; the text says what to do."""


@cache
def _sodium() -> ctypes.CDLL:
    bundled = sorted((Path(zmq.__file__).parents[1] / "pyzmq.libs").glob("libsodium*.so*"))
    for place in [*map(str, bundled), ctypes.util.find_library("sodium")]:
        if place:
            library = ctypes.CDLL(place)
            if library.sodium_init() >= 0 and library.crypto_sign_bytes() == SIGNATURE_BYTES:
                return library
    raise NoSignatures("signatures need libsodium, which is not here; install it (apt install libsodium23)")


def fresh_pair() -> tuple[bytes, bytes]:
    """A public and a secret key.

    Raises: NoSignatures.
    """
    public, secret = (ctypes.create_string_buffer(size) for size in (PUBLIC_BYTES, SECRET_BYTES))
    _sodium().crypto_sign_keypair(public, secret)
    return public.raw, secret.raw


def sign(data: bytes, secret: bytes) -> bytes:
    """The signature of some bytes.

    Raises: ValueError: that is no secret key. NoSignatures.
    """
    if len(secret) != SECRET_BYTES:
        raise ValueError(f"a secret key has {SECRET_BYTES} bytes, this has {len(secret)}")
    made = ctypes.create_string_buffer(SIGNATURE_BYTES)
    _sodium().crypto_sign_detached(made, None, data, ctypes.c_ulonglong(len(data)), secret)
    return made.raw


def is_signed(data: bytes, signature: bytes, public: bytes) -> bool:
    """Whether the holder of a key has signed some bytes.

    Raises: NoSignatures.
    """
    if len(signature) != SIGNATURE_BYTES or len(public) != PUBLIC_BYTES:
        return False
    found: int = _sodium().crypto_sign_verify_detached(signature, data, ctypes.c_ulonglong(len(data)), public)
    return found == 0
