"""A plain line of strings, as in the blog post from which the project grew."""

from __future__ import annotations

from ..conf import Config
from .connection import blocking_client, command_client, translated
from .keys import Keys


class Fifo:
    """Strings in, strings out, in order. No lease: what was popped is the caller's."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._keys = Keys.of(config.namespace)

    def push(self, queue: str, item: str) -> None:
        """Put a string at the end."""
        with translated(self._config.url):
            command_client(self._config.url).lpush(self._key(queue), item)

    def pop(self, queue: str, seconds: float) -> str | None:
        """Take the first string; wait for one, then return None."""
        with translated(self._config.url):
            client = blocking_client(self._config.url, seconds)
            try:
                answer = client.brpop([self._key(queue)], timeout=seconds)
            finally:
                client.close()
        return None if answer is None else str(answer[1])

    def _key(self, queue: str) -> str:
        return self._keys[f"fifo:{queue}"]
