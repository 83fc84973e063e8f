"""Key pairs, and what one process or tool shows of itself. Secrets stay out of every repr, log and message."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import zmq

HUB: Final = "hub"
OBSERVER: Final = "observer"
GUEST: Final = "guest"
LAUNCHER: Final = "launcher"
KEYED_ROLES: Final = (HUB, "cell", "edge", "agent", "cloud", OBSERVER, GUEST, LAUNCHER)
GRANTS: Final = {"scheduler": "cloud", "recorder": "observer"}
"""Roles of leases that another role's enrolment key grants: the cloud's process hosts the scheduler."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A CURVE key pair in Z85, 40 characters each."""

    public: str
    secret: str = field(repr=False)

    @classmethod
    def fresh(cls) -> KeyPair:
        """A new one, of libzmq's own making."""
        public, secret = zmq.curve_keypair()
        return cls(public.decode(), secret.decode())


@dataclass(frozen=True, slots=True)
class Credential:
    """How a caller shows itself to one server: its own pair, and the key that the server must have."""

    own: KeyPair
    server: str


@dataclass(frozen=True, slots=True)
class Keys:
    """What one process holds.

    Attributes:
        own: The pair of this very instance, made at its start and gone with it; the hub's is that of the keystore.
        hub: The hub's public key; empty without a registry.
        enrolment: By role, the pairs that leases are granted to.
        operator: Whether it enrols with the launcher's key, and so may change things, not only read them.
    """

    own: KeyPair
    hub: str = ""
    enrolment: dict[str, KeyPair] = field(default_factory=dict)
    operator: bool = False

    @classmethod
    def fresh(cls) -> Keys:
        """For a process without a registry: whoever shall reach it is admitted by hand."""
        return cls(KeyPair.fresh())

    def credential(self, role: str = "", server: str = "") -> Credential:
        """How to show ourselves to a server, by default the hub: by a role's enrolment key, or as this instance.

        Raises: LookupError: no such key here.
        """
        if not role:
            return Credential(self.own, server or self.hub)
        pair = self.enrolment.get(role) or self.enrolment.get(GRANTS.get(role, role))
        if pair is None:
            raise LookupError(f"no enrolment key of role {role} here")
        return Credential(pair, server or self.hub)
