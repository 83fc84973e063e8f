"""`zmq.asyncio` in the bus bench: the raw loop's frames, awaited. asyncio lives here only to be compared with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Final

import zmq
import zmq.asyncio

from bus.bench_sample import BURST, ECHO, NAP_S, STALL_S, TOPIC, TYPE_ID, WINDOW, Board, Window, decode, sample
from bus.codec import HEADER, HEADER_BYTES, VERSION, encode_payload
from bus.messages import Message

LOOK_S: Final = 0.02


class Asyncio:
    """One XPUB and one XSUB with awaitable calls, one event loop."""

    def __init__(self, board: Board, number: int, receivers: int) -> None:
        self._board = board
        self._is_sender = number < 0
        self._place = board.place(max(number, 0))
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self._context = zmq.asyncio.Context(1)
        self._xpub, self._xsub = self._context.socket(zmq.XPUB), self._context.socket(zmq.XSUB)
        for socket in (self._xpub, self._xsub):
            socket.linger, socket.sndhwm, socket.rcvhwm = 0, 0, 0
        self._sequence = 0
        self._count = 0
        self._prefix = (TOPIC if self._is_sender else ECHO).encode() + b"\0"

    def listen(self) -> str:
        """See ``Contestant``."""
        self._xpub.bind("tcp://127.0.0.1:*")
        return self._xpub.getsockopt_string(zmq.LAST_ENDPOINT)

    def connect(self, sender: str, receivers: list[str]) -> None:
        """See ``Contestant``."""
        topic = ECHO if self._is_sender else TOPIC
        self._run(self._xsub.send(b"\x01" + topic.encode() + b"\0"))
        for endpoint in receivers if self._is_sender else [sender]:
            self._xsub.connect(endpoint)

    def _run(self, work: Any) -> Any:
        return self._loop.run_until_complete(_awaited(work))

    def burst(self, first: int, count: int) -> None:
        """See ``Contestant``."""
        self._run(self._burst(first, count))

    async def _burst(self, first: int, count: int) -> None:
        for index in range(first, first + count):
            await self._publish(sample(index))

    async def _publish(self, message: Message) -> None:
        payload = encode_payload(message)
        self._sequence += 1
        header = HEADER.pack(VERSION, 0, 0, 0, TYPE_ID, 1, 0, self._sequence, 0, time.time_ns())
        await self._xpub.send(b"".join((self._prefix, header, payload)))

    def idle(self) -> None:
        """See ``Contestant``."""
        self._run(asyncio.sleep(NAP_S))

    def flood(self, window: Window, seconds: float) -> float:
        """See ``Contestant``; the loop of ``Window.send_for`` with its waits awaited."""
        return float(self._run(self._flood(window, seconds)))

    async def _flood(self, window: Window, seconds: float) -> float:
        start = time.perf_counter()
        while time.perf_counter() < start + seconds:
            await self._wait(window, WINDOW - BURST)
            await self._burst(window.sent, BURST)
            window.sent += BURST
        await self._wait(window, 0)
        return time.perf_counter() - start

    async def _wait(self, window: Window, most: int) -> None:
        give_up = time.perf_counter() + STALL_S
        while window.flying() > most:
            if time.perf_counter() > give_up:
                raise TimeoutError(f"{window.flying()} of {window.sent} messages did not arrive in {STALL_S:g} s")
            await asyncio.sleep(NAP_S)

    def receive(self, phase: int) -> None:
        """See ``Contestant``."""
        self._run(self._until(phase, self._receive()))

    async def _receive(self) -> None:
        recv, numbers, place = self._xsub.recv, self._board.numbers, self._place
        at = len(TOPIC) + 1
        while True:
            frame = await recv()
            HEADER.unpack_from(frame, at)
            decode(frame[at + HEADER_BYTES :])
            self._count += 1
            numbers[place] = self._count

    async def _until(self, phase: int, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        while self._board.numbers[0] < phase and not task.done():
            await asyncio.sleep(LOOK_S)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return

    def ping(self, count: int) -> list[float]:
        """See ``Contestant``."""
        return list(self._run(asyncio.wait_for(self._ping(count), STALL_S)))

    async def _ping(self, count: int) -> list[float]:
        times, at = [], len(ECHO) + 1
        for index in range(count):
            start = time.perf_counter()
            await self._publish(sample(index))
            frame = await self._xsub.recv()
            HEADER.unpack_from(frame, at)
            decode(frame[at + HEADER_BYTES :])
            times.append(time.perf_counter() - start)
        return times

    def echo(self, phase: int) -> None:
        """See ``Contestant``."""
        self._run(self._until(phase, self._echo()))

    async def _echo(self) -> None:
        at = len(TOPIC) + 1
        while True:
            frame = await self._xsub.recv()
            HEADER.unpack_from(frame, at)
            await self._publish(decode(frame[at + HEADER_BYTES :]))

    def close(self) -> None:
        """See ``Contestant``."""
        self._context.destroy(linger=0)
        self._loop.close()


async def _awaited(work: Any) -> Any:
    return await work
