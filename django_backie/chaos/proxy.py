"""A network that can be cut: what workers and producers take for Redis, while a campaign has faults of the network."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

CHUNK = 65536
HOST = "127.0.0.1"


class Proxy:
    """Passes bytes between a TCP port and a Unix socket, in a thread of its own.

    ``requests`` and ``replies`` say whether bytes pass in that direction. What is held back meanwhile is delivered
    late, as by TCP, unless the connections are cut.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="backie-chaos-proxy", daemon=True)
        self._requests = asyncio.Event()
        self._replies = asyncio.Event()
        self._delay = 0.0
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    def start(self) -> None:
        """Listen on a port that the system chooses."""
        self._thread.start()
        self._run(self._listen())

    def stop(self) -> None:
        """Close everything."""
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def lead_to(self, target: Path) -> None:
        """Connect to another server from now on; all connections are cut."""
        self._target = target
        self.cut()

    def cut(self) -> None:
        """Reset all connections; what was on its way is lost."""
        self._call(self._abort_all)

    def hold(self, *, requests: bool = False, replies: bool = False) -> None:
        """Let nothing pass in the given directions; connections stay open."""
        self._call(self._requests.clear if requests else self._requests.set)
        self._call(self._replies.clear if replies else self._replies.set)

    def slow_down(self, delay: float) -> None:
        """Delay everything that passes by so many seconds."""
        self._delay = delay

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def _call(self, work: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(work)

    async def _listen(self) -> None:
        self._requests.set()
        self._replies.set()
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        self._abort_all()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _abort_all(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_unix_connection(self._target)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, server_writer}
        self._writers |= pair
        try:
            replies = asyncio.ensure_future(self._pass(server_reader, writer, self._replies))
            await self._pass(reader, server_writer, self._requests)
            await replies
        finally:
            self._writers -= pair
            for end in pair:
                end.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, may_pass: asyncio.Event) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                await may_pass.wait()
                if self._delay:
                    await asyncio.sleep(self._delay)
                writer.write(data)
                await writer.drain()
        # Also a client that has given up: what it sent before is still to be delivered, and its end after that.
        await may_pass.wait()
        with contextlib.suppress(OSError):
            writer.close()
