"""Load ``lua/*.lua`` and give their keys and arguments names.

A script opens with one sentence and three header lines: ``-- keys: b h`` and ``-- args: worker limit`` become Lua
locals, ``-- include: time record`` puts files of ``lua/include/`` in front. Arguments beyond the named ones are a list:
the script reads them from ``ARGV[first]`` on. ``-- policies: unique`` includes more, but not where the verb is
``"enqueue plain"``: a server makes all functions of a script anew at each call, which took as long as the call itself.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from hashlib import sha1
from importlib.resources import files
from typing import Any

import redis

from .keys import Keys

PLAIN = "plain"
_LUA = files(__package__) / "lua"


@dataclass(frozen=True, slots=True)
class Script:
    """One verb: its source, and the names of its keys and arguments."""

    name: str
    source: str
    sha: str
    keys: tuple[str, ...]
    args: tuple[str, ...]
    names: frozenset[str]

    def arguments(self, keys: Keys, rest: list[Any], named: dict[str, Any]) -> tuple[Any, ...]:
        """Return keys and arguments in the script's order.

        Raises:
            TypeError: an argument is missing, or the script has none of this name.
        """
        if named.keys() != self.names:
            msg = f"{self.name}.lua takes {', '.join(self.args) or 'no arguments'}; got {', '.join(named) or 'none'}"
            raise TypeError(msg)
        return (*(keys[name] for name in self.keys), *(named[name] for name in self.args), *rest)

    def call(self, client: redis.Redis, keys: Keys, rest: list[Any] | None = None, /, **named: Any) -> Any:
        """Run the script; load it once more where the server has forgotten it (restart, failover, SCRIPT FLUSH)."""
        arguments = self.arguments(keys, rest or [], named)
        try:
            return client.evalsha(self.sha, len(self.keys), *arguments)
        except redis.exceptions.NoScriptError:
            return client.eval(self.source, len(self.keys), *arguments)


@functools.cache
def load(name: str) -> Script:
    """Return the script of a verb, such as ``"enqueue"``, or of one whose jobs use no policies, ``"enqueue plain"``."""
    verb, _, variant = name.partition(" ")
    text = (_LUA / f"{verb}.lua").read_text()
    keys, args, includes = (_header(text, what) for what in ("keys", "args", "include"))
    if variant != PLAIN:
        includes += _header(text, "policies")
    parts = [_locals(keys, "KEYS"), _locals(args, "ARGV"), f"local first = {len(args) + 1}"]
    parts += [(_LUA / "include" / f"{include}.lua").read_text() for include in includes]
    source = "\n".join([*parts, text])
    return Script(verb, source, sha1(source.encode(), usedforsecurity=False).hexdigest(), keys, args, frozenset(args))


def names() -> list[str]:
    """Return the name of every verb."""
    return sorted(path.name.removesuffix(".lua") for path in _LUA.iterdir() if path.name.endswith(".lua"))


def _header(text: str, what: str) -> tuple[str, ...]:
    for line in text.splitlines():
        if line.startswith(f"-- {what}:"):
            return tuple(line.partition(":")[2].split())
    return ()


def _locals(names: tuple[str, ...], source: str) -> str:
    if not names:
        return ""
    values = ", ".join(f"{source}[{number}]" for number in range(1, len(names) + 1))
    return f"local {', '.join(names)} = {values}"
