"""One server, or, for the long campaign, a master with a replica behind a network that can be cut."""

from __future__ import annotations

import time
from pathlib import Path

from .proxy import HOST, Proxy
from .server import Server, free_port

# Seconds that a replica may take to have everything.
CATCH_UP = 10.0


class Servers:
    """The server that workers and producers use; ``url`` is where they find it, whichever it is."""

    def __init__(self, binary: str, directory: Path, password: str, *, long: bool) -> None:
        ports = (free_port(), free_port()) if long else (0, 0)
        self.master = Server(binary, directory, "redis", password, ports[0])
        self.replica = Server(binary, directory, "replica", password, ports[1]) if long else None
        self.proxy = Proxy(self.master.socket) if long else None
        self._password = password

    @property
    def url(self) -> str:
        """Return the URL for workers and producers."""
        if self.proxy is None:
            return self.master.url
        return f"redis://:{self._password}@{HOST}:{self.proxy.port}/0"

    def start(self) -> None:
        """Start what there is."""
        self.master.start()
        if self.replica is not None:
            self.replica.start()
            self._follow()
        if self.proxy is not None:
            self.proxy.start()

    def end(self) -> None:
        """Kill what there is."""
        if self.proxy is not None and self.proxy.port:
            self.proxy.stop()
        self.master.kill()
        if self.replica is not None:
            self.replica.kill()

    def detach(self) -> bool:
        """Stop replication and make the replica a master; tell whether it had followed until now."""
        if self.replica is None or not self.replica.follows():
            return False
        self.replica.command("REPLICAOF", "NO", "ONE")
        return True

    def fail_over(self) -> None:
        """Kill the master and go on with the former replica; the killed one, empty, follows it."""
        assert self.replica is not None  # noqa: S101 - detach() has seen it
        assert self.proxy is not None  # noqa: S101 - as above
        self.master.kill()
        self.master, self.replica = self.replica, self.master
        self.proxy.lead_to(self.master.socket)
        self.replica.empty()
        self.replica.start()
        self._follow()

    def heal(self) -> None:
        """Bring the master and the network back."""
        if self.proxy is not None:
            self.proxy.slow_down(0.0)
            self.proxy.hold()
        self.master.thaw()
        if not self.master.answers():
            self.master.start()
        self.master.command("CONFIG", "SET", "maxmemory", "0")

    def _follow(self) -> None:
        assert self.replica is not None  # noqa: S101 - only called where there is one
        self.replica.command("REPLICAOF", HOST, str(self.master.port))
        deadline = time.monotonic() + CATCH_UP
        while not self.replica.follows() and time.monotonic() < deadline:
            time.sleep(0.05)
