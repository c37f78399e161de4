"""Run tests as the ACL user that the documentation describes: ``python -m tests.restricted [words for pytest]``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from . import servers
from .servers import Server

DOCUMENT = Path(__file__).parents[1] / "docs" / "how-to" / "secure-redis.md"
PASSWORD = "secret"
# What the tests do beside the package: find their own keys, ask their kind and expiry, load scripts; and ``Broker``.
OF_THE_TESTS = ("+scan", "+keys", "+type", "+ttl", "+hkeys", "+script|load", "+script|exists", "+lpush", "+brpop")


def rule() -> list[str]:
    """Return the words of the documented ACL rule, behind the user's name."""
    (line,) = re.findall(r"^ACL SETUSER backie (on .*)$", DOCUMENT.read_text(), flags=re.MULTILINE)
    return str(line).split()


def commands() -> set[str]:
    """Return the commands that the documentation allows."""
    return {word[1:] for word in rule() if word.startswith("+")}


def make_user(server: Server, name: str, *more: str) -> str:
    """Make a user with the documented rights and some more (or fewer); return its URL."""
    with server.client() as admin:
        admin.execute_command("ACL", "SETUSER", name, "reset", *rule(), *more)
    return server.url_as(name, PASSWORD)


def main() -> int:
    """Start a server, run pytest under the restricted user, say what was refused."""
    with servers.server(flags={"acllog-max-len": "10000"}) as server, server.client() as admin:
        # The tests' namespaces have names of their own.
        url = make_user(server, "backie", "allkeys", *OF_THE_TESTS)
        words = [sys.executable, "-m", "pytest", *sys.argv[1:]]
        code = subprocess.run(words, env={**os.environ, "BACKIE_TEST_REDIS_URL": url}, check=False).returncode
        refused = {entry["object"] for entry in admin.acl_log()} - {"client", "client|setinfo"}
        print("refused:", ", ".join(sorted(refused)) or "nothing")  # noqa: T201
    return code or bool(refused)


if __name__ == "__main__":
    sys.exit(main())
