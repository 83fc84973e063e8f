"""What callers may ask for when keys are in use, by the key that they have shown."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from bus.calls import FORBIDDEN, REVOKED, Forbids
from bus.credentials import GRANTS, GUEST, LAUNCHER, OBSERVER
from bus.errors import KeystoreError
from bus.keystore import Enrolled
from bus.messages import Beat, Lease, Leave, LinkReport, Message, Peer, Ready, Register, Seated
from bus.rights import Rights
from bus.security import Security
from bus.swap_messages import Shadowed, StateDue, StateHanded, SwapFailed
from bus.topics import TABLE

_log = logging.getLogger(__name__)

REFRESH_S: Final = 0.5
OF_THE_RUN: Final = frozenset(row.pattern.split("/")[1] for row in TABLE.rows if row.pattern.startswith("/"))
"""How topics begin that are none of a guest's business."""
OF_THE_HUB: Final = ("/hub/", "/process/")
"""What not even an operator says: the clock, and who has done his part."""


class Holder(Protocol):
    """What the registry knows of one process instance."""

    process: str
    instance: int
    key: str
    enrolled_by: str
    enrolled_as: str
    names: tuple[str, ...]


class Admission:
    """The rules at the registry's address.

    An enrolment key asks for leases of its role, and reads; an instance's own key speaks for that instance; whoever
    holds the launcher's key may end, change and revoke.

    Args:
        security: Of the hub's process.
        enrolled: The enrolment keys of the keystore.
        holders: The registry's entries by instance.
    """

    def __init__(self, security: Security, enrolled: Enrolled, holders: Mapping[int, Holder]) -> None:
        self.enrolled = enrolled
        self.caller = ""
        """The key of whoever is being answered."""
        self._security = security
        self._holders = holders
        self._used: set[str] = set()  # instance keys of this run, living or dead

    def admits(self, key: str) -> bool:
        """Whether the holder of a key may speak with the registry at all."""
        return bool(self.enrolled.role(key)) or self._security.instance_of(key) is not None

    def forbids(self, key: str, node: str, method: str, request: Message, reads: bool) -> tuple[str, str] | None:
        """Kind and text of why a caller may not ask that; None if he may."""
        self.caller = key
        if not self.admits(key):
            reason, text = REVOKED, "this key is not known (any more)"
        elif isinstance(request, Lease):
            reason, text = self._forbids_lease(key, request)
        elif isinstance(request, Register | Beat | Ready | Leave | LinkReport):
            reason, text = self._forbids_speech(key, request)
        elif isinstance(request, Seated | SwapFailed | Shadowed | StateDue | StateHanded):
            reason, text = self._forbids_seated(key, request)
        elif reads or self._is_operator(key):
            return None
        else:
            reason, text = "rights", f"{method} takes the launcher's key"
        if not reason:
            return None
        self._security.refused(reason, f"{method} at {node}: {text}")
        return REVOKED if reason == REVOKED else FORBIDDEN, text

    def _forbids_lease(self, key: str, request: Lease) -> tuple[str, str]:
        role = self.enrolled.role(key)
        if request.role != role and GRANTS.get(request.role) != role and (role, request.role) != (LAUNCHER, OBSERVER):
            return "role", f"the key of role {role or 'nobody'} grants no lease of role {request.role}"
        holder = self._holders.get(request.instance)
        if holder is not None and holder.key == request.public_key != "":
            return "", ""
        if not request.public_key or request.instance:
            return "key", f"{request.process} asks for a lease without a key of its own"
        if request.public_key in self._used or request.public_key == self._security.keys.own.public:
            return "replayed", f"the instance key of {request.process} has had its lease; each start makes a new one"
        return "", ""

    def _forbids_speech(self, key: str, request: Register | Beat | Ready | Leave | LinkReport) -> tuple[str, str]:
        instance = self._security.instance_of(key)
        speaker = self._holders.get(instance) if instance is not None else None
        if isinstance(request, LinkReport):
            speaks = speaker is not None and speaker.process == request.process
        else:
            meant = request.peer.instance if isinstance(request, Register) else request.instance
            speaks = speaker is not None and speaker.instance == meant
        if not speaks:
            return "replayed", f"it speaks for another instance than {speaker.process if speaker else 'its own'}"
        if isinstance(request, Register) and speaker is not None:
            return self._forbids_record(speaker, request.peer)
        return "", ""

    def _forbids_seated(
        self, key: str, request: Seated | SwapFailed | Shadowed | StateDue | StateHanded
    ) -> tuple[str, str]:
        speaker = self._holders.get(self._security.instance_of(key) or 0)
        if speaker is None or f"/edge/{request.edge}" not in speaker.names:
            return "rights", f"it speaks for the agent of /edge/{request.edge}, which it does not hold"
        return "", ""

    def _forbids_record(self, speaker: Holder, peer: Peer) -> tuple[str, str]:
        if peer.public_key != speaker.key or peer.process != speaker.process:
            return "replayed", f"{speaker.process} registers another's name or key"
        own = speaker.key == self._security.keys.own.public
        for marked, role in ((peer.operator, LAUNCHER), (peer.guest, GUEST)):
            if marked and speaker.enrolled_as != role and not own:
                return "rights", f"{speaker.process} has not shown the {role}'s key"
        rights = Rights.of(peer.process, speaker.names)
        topics = [record.topic for node in peer.nodes for record in node.publishes]
        strange = [topic for topic in topics if not rights.publishes(topic) and not self._besides(peer, topic)]
        if strange:
            return "topic", f"{speaker.process} may not publish {', '.join(strange)}"
        return "", ""

    def _besides(self, peer: Peer, topic: str) -> bool:
        """Whether a guest or an operator may publish a topic that is not below its own names.

        An operator whatever the run's processes publish; a guest what is nobody's: neither below the name of anyone
        else, nor in the shipped table, nor beginning like what is.
        """
        if peer.operator:
            return not topic.startswith(OF_THE_HUB)
        if not peer.guest or TABLE.has(topic) or topic.split("/")[1] in OF_THE_RUN:
            return False
        return not any(
            topic.startswith(f"{name}/")
            for holder in self._holders.values()
            if holder.instance != peer.instance
            for name in holder.names
        )

    def _is_operator(self, key: str) -> bool:
        if self.enrolled.role(key) == LAUNCHER:
            return True
        holder = self._holders.get(self._security.instance_of(key) or 0)
        return holder is not None and (holder.key == self._security.keys.own.public or holder.enrolled_as == LAUNCHER)

    # -- keys come and go ----------------------------------------------------------------------------------------------

    def enter(self, holder: Holder, key: str) -> None:
        """An instance has its lease, granted to the caller: its key opens doors from now on."""
        holder.key, holder.enrolled_by = key, self.caller
        holder.enrolled_as = self.enrolled.role(self.caller)
        self._used.add(key)
        self._security.admit(key, holder.instance)

    def refresh(self, drop: Callable[[int, str], bool]) -> None:
        """Follow the keystore; who was let in by a key that is revoked is dropped."""
        try:
            if not self.enrolled.refresh():
                return
        except KeystoreError as error:
            _log.warning("the keystore stays as it was known: %s", error)
            return
        _log.info("the keystore has changed")
        for holder in list(self._holders.values()):
            if holder.enrolled_by in self.enrolled.revoked:
                self._security.refused("revoked", f"{holder.process}: its enrolment key is revoked")
                drop(holder.instance, "its key is revoked")


def forbids_call(peer_of: Callable[[int], Peer | None], security: Security) -> Forbids:
    """The rule at every other process: whoever is in the graph may read; the hub and operators may change things."""

    def forbids(key: str, node: str, method: str, _request: Message, reads: bool) -> tuple[str, str] | None:
        instance = security.instance_of(key)
        if instance is None:
            security.refused(REVOKED, f"{method} at {node}")
            return REVOKED, "this key is not known (any more)"
        peer = peer_of(instance)
        if reads or key == security.keys.hub or (peer is not None and peer.operator):
            return None
        security.refused("rights", f"{method} at {node} by instance {instance}")
        return FORBIDDEN, f"{method} takes the launcher's key"

    return forbids
