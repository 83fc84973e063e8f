"""A reset: the scenario starts again at slot 0 with another seed, in the same processes, over the same links.

Two rounds of questions to every process that takes part. *halt*: what have you published? Together the answers are the
fence. *begin again*: go back to your initial state once you have all up to the fence; who has not yet is asked again.
Whoever dies meanwhile, or is not done in time, is lost as in a slot, and the reset goes on without it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec

from bus.accounting import counters_of
from bus.messages import BeginAgain, BegunAgain, Failure, Peer, Published, Query, Reset, ResetStatus
from bus.peers import answers_calls
from bus.process import Process, own_node
from bus.registry import Registry
from bus.resets import BEGIN_AGAIN, HALT, forget_episode, lacking, published
from bus.timers import Timer
from bus.wiring import RECORDER
from emulator import scenario_file
from emulator.folder import RESETS, Writer
from emulator.nodes.books import Books
from emulator.nodes.stalls import LOST
from emulator.scenario import Scenario

ROLES: Final = ("cell", "edge", "agent", "cloud", "scheduler")
"""Whose processes are reset; tools and guests hear slots begin at 0 again."""

FIELDS: Final = ("number", "seed", "slots", "digest", "delay_s")
AGAIN_S: Final = 0.002
LONGEST_AGAIN_S: Final = 0.05
"""After how long a process that is behind is asked again, at first and at most, wall seconds."""

HUB: Final = "hub"


class Resets:
    """Those of one run. The hub calls ``start`` at the slot boundary where ``due`` holds."""

    def __init__(
        self,
        process: Process,
        registry: Registry,
        scenario: Scenario,
        writer: Writer,
        phase: Callable[[], str],
        note: Callable[[str], None],
        end: Callable[[int, str], None],
    ) -> None:
        """Let resets be asked for.

        Args:
            process: The hub's.
            registry: Of its members.
            scenario: The run's, with the seed of its first episode.
            writer: Of the run folder.
            phase: Of the run, in a word.
            note: Takes a sentence for the run's notes.
            end: Ends the run, with its exit code and the reason.
        """
        self.scenario = scenario
        self.text = ""
        """The scenario with the present seed, once there was a reset."""
        self.problem = ""
        """Why the last reset was refused."""
        self.counters: dict[int, dict[str, float]] = {}
        """What processes had counted when they began again, by instance."""
        self._process = process
        self._registry = registry
        self._writer = writer
        self._phase = phase
        self._note = note
        self._end = end
        self._number = self._done = 0  # of resets that were asked for, and that are over
        self._count = 0  # those that were not refused
        self._seed = scenario.seed
        self._due = False
        self._slots = 0
        self._took_s = 0.0
        self._began_s = 0.0
        self._waiting: dict[int, Peer] = {}
        self._halted: list[Published] = []
        self._fence: tuple[Published, ...] = ()
        self._behind: dict[str, tuple[str, ...]] = {}
        self._is_fenced = False
        self._fresh: set[int] = set()
        self._freshened: set[int] = set()
        self._then: Callable[[], None] = _nothing
        self._books: Books | None = None
        self._deadline: Timer | None = None
        registry.serve("reset", Reset, self.ask, ResetStatus)
        registry.serve("reset_status", Query, lambda _: self.status(), ResetStatus)

    # -- asking for one ------------------------------------------------------------------------------------------------

    @property
    def due(self) -> bool:
        """Whether the run starts again after the present slot."""
        return self._due

    def ask(self, asked: Reset) -> ResetStatus:
        """A tool asks for a reset, which comes after the present slot.

        Raises: ValueError: not now, or not in this run.
        """
        if self.scenario.clock == "wall":
            raise ValueError(
                'a run on the wall clock cannot be reset: its slots wait for nobody; use clock = "lockstep"'
            )
        if self._registry.holder(RECORDER) is not None:
            raise ValueError(
                "a run that records a bag cannot be reset: a bag holds each slot once; run it without --record"
            )
        if self._due or self._number > self._done:
            raise ValueError(f"reset {self._number} is under way; wait until it is done")
        if self._phase() != "running":
            raise ValueError(f"the run is {self._phase()}; it can be reset while it is running")
        if asked.seed < -1:
            raise ValueError(f"seed is {asked.seed}, must be 0 or more")
        self._number += 1
        self._due = True
        self._seed = asked.seed if asked.seed >= 0 else self.scenario.seed + 1
        return self.status()

    def status(self) -> ResetStatus:
        """How far it is."""
        waiting = tuple(
            f"{peer.process}: {'; '.join(self._behind.get(peer.process, ('no answer yet',)))}"
            for peer in self._waiting.values()
        )
        hub = tuple(f"{HUB}: {text}" for text in self._behind.get(HUB, ()))
        return ResetStatus(
            self._number, self._done, self.scenario.seed, self._slots, self._took_s, waiting + hub, self.problem
        )

    def facts(self) -> dict[str, Any]:
        """What the run's books say of it; nothing where there was none."""
        return {"seed": self.scenario.seed, "resets": self._count} if self._count else {}

    # -- doing it ------------------------------------------------------------------------------------------------------

    def start(self, slots: int, books: Books, then: Callable[[], None]) -> None:
        """Reset everyone who is there.

        Args:
            slots: Committed slots of the episode that ends.
            books: Of the same.
            then: Called at the end; ``problem`` says whether it was refused.
        """
        self._due, self._then, self._books = False, then, books
        self._slots, self._began_s = slots, self._process.clock()
        self.problem, self._halted, self._behind, self._fence = "", [], {}, ()
        self._is_fenced = False
        self._waiting = {peer.instance: peer for peer in self._registry.peers() if is_asked(peer)}
        deadline_s = self.scenario.deadlines.give_up_s
        self._deadline = self._process.after(deadline_s, partial(self._give_up, self._number, deadline_s))
        for peer in list(self._waiting.values()):
            self._question(peer, HALT, Query(), Published, partial(self._on_halted, self._number, peer))
        self._go_on()

    def lose(self, peer: Peer) -> None:
        """A process is lost during a reset: nobody waits for it."""
        self.counters.pop(peer.instance, None)
        if self._waiting.pop(peer.instance, None) is not None:
            self._go_on()

    def _question(self, peer: Peer, method: str, request: Any, reply_type: Any, then: Callable[[Any], None]) -> None:
        asking = self._process.asking(peer.call_endpoint, peer.process, peer.public_key)
        asking.ask(own_node(peer.process), method, request, reply_type, self.scenario.deadlines.give_up_s, then)

    def _on_halted(self, number: int, peer: Peer, answer: Published | Failure) -> None:
        if number != self._number or peer.instance not in self._waiting or self._fence:
            return
        if isinstance(answer, Failure):
            if answer.kind == "unknown_method":
                self._refuse(f"{peer.process} does not know how to begin again")
            return  # otherwise it is lost soon, or the deadline passes
        del self._waiting[peer.instance]
        self._halted.append(answer)
        self._go_on()

    def _go_on(self) -> None:
        """Take the next step when nobody is waited for."""
        if self._waiting or self._number == self._done:
            return
        if not self._fence:
            there = {peer.instance: peer for peer in self._registry.peers() if is_asked(peer)}
            halted = {part.instance for part in self._halted}
            self._waiting = {instance: peer for instance, peer in there.items() if instance in halted}
            self._fence = (*self._halted, published(self._process))
            self.counters = {}
            for peer in list(self._waiting.values()):
                self._ask_to_begin(self._number, peer, AGAIN_S)
            self._wait_for_fence(self._number, AGAIN_S)
        if self._is_fenced and not self._waiting:
            self._finish()

    def _ask_to_begin(self, number: int, peer: Peer, again_s: float) -> None:
        if number == self._number and peer.instance in self._waiting:
            request = BeginAgain(number, self._seed, self._fence)
            self._question(peer, BEGIN_AGAIN, request, BegunAgain, partial(self._on_begun, number, peer, again_s))

    def _on_begun(self, number: int, peer: Peer, again_s: float, answer: BegunAgain | Failure) -> None:
        if number != self._number or peer.instance not in self._waiting or isinstance(answer, Failure):
            return
        if answer.done:
            del self._waiting[peer.instance]
            self._behind.pop(peer.process, None)
            self.counters[peer.instance] = answer.counters
            self._go_on()
            return
        self._behind[peer.process] = answer.behind
        again = partial(self._ask_to_begin, number, peer, min(2.0 * again_s, LONGEST_AGAIN_S))
        self._process.after(again_s, again)

    def _wait_for_fence(self, number: int, again_s: float) -> None:
        """The hub's own nodes hear, too."""
        if number != self._number or number == self._done:
            return
        behind = tuple(lacking(self._process, self._fence, ask=again_s > 4.0 * AGAIN_S))
        if behind:
            self._behind[HUB] = behind[:8]
            again = partial(self._wait_for_fence, number, min(2.0 * again_s, LONGEST_AGAIN_S))
            self._process.after(again_s, again)
            return
        self._behind.pop(HUB, None)
        self._process.later(self._fenced, number)

    def _fenced(self, number: int) -> None:
        if number == self._number:
            self._is_fenced = True
            self._go_on()

    def _finish(self) -> None:
        """Everyone is back at the start: say what the episode came to, and hand over to the hub."""
        if self._books is not None:
            row = (self._number, self.scenario.seed, self._slots, self._books.digest.hex(), self._books.delay_s)
            self._writer.row(RESETS, FIELDS, row)
        forget_episode(self._process, self._seed)
        self.counters[self._process.instance] = counters_of(self._process)
        self._count += 1
        self._fresh = set(self.counters)
        self._freshened = set()
        self.scenario = msgspec.structs.replace(self.scenario, seed=self._seed)
        self.text = scenario_file.dump(self.scenario)
        self._writer.text("scenario.toml", self.text)
        self._over()

    def _refuse(self, problem: str) -> None:
        self.problem = f"reset {self._number}: {problem}"
        self._note(self.problem)
        self._slots = -1
        self._over()

    def cancel(self) -> None:
        """The run ends: what is under way comes to nothing."""
        if self._number > self._done:
            self.problem, self._slots = f"reset {self._number}: the run ended before it", -1
            self._due, self._number = False, self._done
            self._waiting = {}

    def _over(self) -> None:
        self._done, self._took_s = self._number, self._process.clock() - self._began_s
        self._waiting, self._behind, self._fence = {}, {}, ()
        if self._deadline is not None:
            self._deadline.cancel()
        self._then()

    def _give_up(self, number: int, deadline_s: float) -> None:
        """Whoever is not done by now is lost."""
        if number != self._number or number == self._done:
            return
        late = list(self._waiting.values())
        if not late:
            # Some are back at the start already, so there is no way on.
            self._end(LOST, f"reset {number}: the hub misses {'; '.join(self._behind.get(HUB, ('the fence',)))}")
            return
        for peer in late:
            behind = "; ".join(self._behind.get(peer.process, ("no answer",)))
            self._registry.drop(peer.instance, f"reset {number} not done within {deadline_s:g} s: {behind}")
        if number > self._done:  # those who are left have a step to do yet
            self._deadline = self._process.after(deadline_s, partial(self._give_up, number, deadline_s))

    # -- who joins later -----------------------------------------------------------------------------------------------

    def is_fresh(self, peer: Peer) -> bool:
        """Whether a process that joined has the present seed; otherwise it is told, and is fresh soon."""
        if not self._count or peer.instance in self._fresh or not answers_calls(peer):
            return True
        if peer.instance not in self._freshened:
            self._freshened.add(peer.instance)
            request = BeginAgain(self._done, self.scenario.seed, ())
            self._question(peer, BEGIN_AGAIN, request, BegunAgain, partial(self._on_fresh, self._done, peer))
        return False

    def _on_fresh(self, number: int, peer: Peer, answer: BegunAgain | Failure) -> None:
        if number != self._done:
            return
        self._freshened.discard(peer.instance)  # who is not done yet is asked again at the next frame
        if isinstance(answer, BegunAgain) and answer.done:
            self._fresh.add(peer.instance)
            self.counters[peer.instance] = answer.counters


def takes_part(peer: Peer) -> bool:
    """Whether a process has a node of the world, which is reset with it."""
    return any(node.name.lstrip("/").partition("/")[0] in ROLES for node in peer.nodes)


def is_asked(peer: Peer) -> bool:
    """Whether a process is told of a reset; foreign agents are, by their edge servers."""
    return takes_part(peer) and answers_calls(peer)


def _nothing() -> None:
    """Nobody waits for it."""
