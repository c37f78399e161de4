"""Lua with names instead of positions."""

from __future__ import annotations

import uuid
from dataclasses import replace
from hashlib import sha1
from pathlib import Path

import pytest

from django_backie.broker import scripts
from django_backie.broker.redis import RedisBroker

from .support import WORKER, claim, ids_of, job, jobs

ORIGINAL = scripts.load
LUA = Path(scripts.__file__).parent / "lua"
TESTS = Path(__file__).parent

VERBS = [
    "asked", "bury", "cancel", "done", "enqueue", "erase", "hasten", "held", "inspect", "join", "leave", "missing",
    "renew", "restore", "take", "tick", "turn",
]  # fmt: skip


def test_the_verbs_are_the_files() -> None:
    assert scripts.names() == sorted(path.stem for path in LUA.glob("*.lua"))
    assert set(VERBS) <= set(scripts.names())


@pytest.mark.parametrize("name", scripts.names())
def test_every_verb_has_a_test_file(name: str) -> None:
    assert (TESTS / f"test_{name}.py").is_file()


@pytest.mark.parametrize("name", scripts.names())
def test_a_wrong_keyword_is_refused_in_python(name: str) -> None:
    script = scripts.load(name)
    named = dict.fromkeys(script.args, 0)

    with pytest.raises(TypeError, match=rf"{name}\.lua takes .*quue"):
        script.call(None, None, [], **named, quue=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [name for name in scripts.names() if scripts.load(name).args])
def test_a_missing_keyword_is_refused_in_python(name: str) -> None:
    script = scripts.load(name)
    named = dict.fromkeys(script.args[1:], 0)

    with pytest.raises(TypeError, match=rf"{name}\.lua takes {script.args[0]}"):
        script.call(None, None, [], **named)  # type: ignore[arg-type]


def test_keys_and_arguments_become_locals() -> None:
    script = scripts.load("join")

    assert script.source.startswith(
        "local w, wi = KEYS[1], KEYS[2]\n"
        "local prefix, worker, lease, info = ARGV[1], ARGV[2], ARGV[3], ARGV[4]\n"
        "local first = 5\n"
    )


def test_included_files_stand_before_the_script() -> None:
    source = scripts.load("tick").source

    assert source.index("local function recover") < source.index("recover(prefix, worker, now, nil)")


@pytest.mark.parametrize("name", scripts.names())
def test_a_script_includes_no_file_twice_and_none_that_is_missing(name: str) -> None:
    header = next(
        (line for line in (LUA / f"{name}.lua").read_text().splitlines() if line.startswith("-- include:")),
        "",
    )
    includes = header.removeprefix("-- include:").split()

    assert len(includes) == len(set(includes))
    assert all((LUA / "include" / f"{include}.lua").is_file() for include in includes)


@pytest.mark.parametrize("name", scripts.names())
def test_the_server_knows_a_script_by_the_hash_that_we_compute(broker: RedisBroker, name: str) -> None:
    script = scripts.load(name)

    assert broker.client.script_load(script.source) == script.sha


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Change all scripts by a comment, so that the server knows none; flushing them would disturb other tests."""
    comment = f"\n-- {uuid.uuid4()}"

    def changed(name: str) -> scripts.Script:
        source = ORIGINAL(name).source + comment
        return replace(ORIGINAL(name), source=source, sha=sha1(source.encode()).hexdigest())  # noqa: S324

    monkeypatch.setattr(scripts, "load", changed)


def test_a_server_that_has_forgotten_the_scripts_gets_them_again(
    broker: RedisBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.enqueue([job("a")])
    forget(monkeypatch)

    assert broker.enqueue([job("a"), job("b")]) == [False, True]
    assert broker.client.script_exists(scripts.load("enqueue plain").sha) == [True]
    assert ids_of(claim(broker, 2)) == ["a", "b"]


def test_a_forgotten_script_runs_only_once(broker: RedisBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    forget(monkeypatch)
    broker.enqueue(jobs("ab"))
    forget(monkeypatch)
    claim(broker)

    assert broker.turn(WORKER).held == 1


@pytest.mark.parametrize(
    ("values", "verb"),
    [
        ({}, "enqueue plain"),
        ({"unique": "e1"}, "enqueue"),
        ({"group": "a1|1"}, "enqueue"),
        ({"limits": "c1|1"}, "enqueue"),
    ],
)
def test_only_jobs_with_policies_pay_for_their_functions(
    broker: RedisBroker, monkeypatch: pytest.MonkeyPatch, values: dict[str, str], verb: str
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(scripts, "load", lambda name: asked.append(name) or ORIGINAL(name))
    broker.enqueue([job("a"), job("b", **values)])

    assert asked == [verb]
    assert len(ORIGINAL("enqueue plain").source) < len(ORIGINAL("enqueue").source)
