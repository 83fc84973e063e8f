"""How a tool asks the processes of a run themselves: just so, or with keys as an observer of that run.

Processes admit whoever is in the graph, by the key of that very instance. So with keys a tool takes a lease, shows its
fresh key to nobody but those it asks, and leaves when it has its answers.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol, TypeVar

from bus.calls import reply_or_raise
from bus.client import Client
from bus.credentials import Keys
from bus.errors import CallTimeout, PeerLost
from bus.messages import Failure, Message
from bus.names import OBSERVER
from emulator.cli.finding import ANSWER_S, HubSilent, Run, asking

if TYPE_CHECKING:
    from bus.process import Process

R = TypeVar("R", bound=Message)
SPARE_S = 1.0  # a call's own deadline comes first


class Reach(Protocol):
    """Asks a node at an endpoint now; what is returned waits for the answer, so that many can be asked at once.

    Raises (the answer): CallTimeout: none in time. CallFailed: refused. OSError: the endpoint is none.
    """

    def __call__(
        self,
        endpoint: str,
        node: str,
        method: str,
        request: Message,
        reply_type: type[R],
        deadline_s: float = ANSWER_S,
    ) -> Callable[[], R]:
        """Ask."""


@contextlib.contextmanager
def reaching(run: Run, tool: str, role: str = OBSERVER) -> Iterator[Reach]:
    """Ask processes of a run; with keys as an observer that shows a role's enrolment key to the hub.

    Whoever shows the launcher's may change things, not only read them.
    Raises: HubSilent: the hub does not answer. KeystoreError: no such key here. KeyRefused: it is worth nothing.
    """
    keys = run.keys(role)
    with contextlib.ExitStack() as stack:
        yield _Clients(stack) if keys is None else _Member(run, tool, role, keys, stack)


class _Clients:
    """One connection for each process that is asked."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self._clients: dict[str, Client] = {}

    def __call__(
        self,
        endpoint: str,
        node: str,
        method: str,
        request: Message,
        reply_type: type[R],
        deadline_s: float = ANSWER_S,
    ) -> Callable[[], R]:
        client = self._clients.get(endpoint)
        if client is None:
            client = self._clients[endpoint] = self._stack.enter_context(Client(endpoint))
        return client.ask(method, request, reply_type, deadline_s, node)


class _Member:
    """A process on the bus that publishes nothing and hears the graph only; it joins with the first question."""

    def __init__(self, run: Run, tool: str, role: str, keys: Keys, stack: contextlib.ExitStack) -> None:
        self._run, self._tool, self._own, self._stack = run, tool, keys, stack
        self._hub = stack.enter_context(asking(run, role=role))
        self._process: Process | None = None
        self._keys: dict[str, tuple[str, str]] = {}

    def __call__(
        self,
        endpoint: str,
        node: str,
        method: str,
        request: Message,
        reply_type: type[R],
        deadline_s: float = ANSWER_S,
    ) -> Callable[[], R]:
        if endpoint == self._run.address:
            return self._hub.ask(method, request, reply_type, deadline_s, node)
        process = self._process or self._join()
        callee, key = self._keys.get(endpoint, ("", ""))
        answers: list[R | Failure] = []
        if key:
            process.asking(endpoint, callee, key).ask(node, method, request, reply_type, deadline_s, answers.append)

        def answer() -> R:
            if not key:
                raise PeerLost(node, f"its process at {endpoint} is not in the graph (any more)")
            process.spin(lambda: bool(answers), deadline_s + SPARE_S)
            if not answers:
                raise CallTimeout(node, method, deadline_s)
            return reply_or_raise(answers[0], node, method, deadline_s)

        return answer

    def _join(self) -> Process:
        # The keys of the others are what the hub says, which has shown the one that the keystore has of it.
        self._keys = {peer.call_endpoint: (peer.process, peer.public_key) for peer in self._hub.peers()}
        from bus.process import Process  # only with keys: without them a tool is no process, and starts sooner

        process = self._process = Process(f"{self._tool}-{os.getpid()}", keys=self._own)
        self._stack.callback(process.close, f"({self._tool} ended)")
        try:
            process.node(process.join(self._run.address, OBSERVER, deadline_s=ANSWER_S)[0])
        except CallTimeout as error:
            raise HubSilent(self._run.address, f"call 'lease' got no reply within {error.deadline_s:g} s") from None
        process.register()
        return process
