"""Job ids."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import uuid

import pytest

from django_backie.core import ids

# The clock stands still, so that only the random bits tell two ids apart.
FORK = """
import ctypes, os, sys, time
from django_backie.core import ids

time.time_ns = lambda: 0
known = ids.new_key()
child = {fork}
made = " ".join(ids.new_key() for _ in range(300))
if child:
    os.waitpid(child, 0)
    made = known + " " + made
os.write(1, (made + " ").encode())
os._exit(0)
"""


def test_an_id_is_a_uuid_of_version_7_and_the_standard_variant() -> None:
    for _ in range(200):
        made = ids.new_id()
        assert (made.version, made.variant) == (7, uuid.RFC_4122)


def test_an_id_begins_with_the_milliseconds_of_its_making() -> None:
    before = time.time_ns() // 1_000_000
    made = ids.new_id()
    after = time.time_ns() // 1_000_000

    assert before <= made.int >> 80 <= after


def test_a_later_millisecond_sorts_later(monkeypatch: pytest.MonkeyPatch) -> None:
    times = [0, 1, 255, 256, 1_700_000_000_000, 1_700_000_000_001, 2**48 - 1]
    made = []
    for milliseconds in times:
        monkeypatch.setattr(time, "time_ns", lambda now=milliseconds: now * 1_000_000 + 999_999)
        made.append(str(ids.new_id()))

    assert made == sorted(made)


def test_ids_of_one_millisecond_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_000_000_000)

    assert len({ids.new_id() for _ in range(2000)}) == 2000


def test_ids_of_several_threads_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_000_000_000)
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.extend([ids.new_key() for _ in range(2000)])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(made)) == len(made) == 8000


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
@pytest.mark.parametrize("fork", ["os.fork()", "ctypes.PyDLL(None).fork()"], ids=["told", "untold"])
def test_ids_of_a_forked_process_differ_whether_python_is_told_of_the_fork_or_not(fork: str) -> None:
    script = [sys.executable, "-c", FORK.format(fork=fork)]
    made = subprocess.run(script, check=True, capture_output=True, text=True, timeout=60).stdout.split()

    assert len(set(made)) == len(made) == 601


def test_all_74_random_bits_vary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    ones = zeros = 0
    for _ in range(200):
        value = ids.new_id().int
        ones |= value
        zeros |= ~value

    assert (ones & zeros).bit_count() == 74


def test_a_key_is_the_text_that_people_see() -> None:
    key = ids.new_key()

    assert (len(key), str(uuid.UUID(key))) == (36, key)
    assert key.endswith(ids.short(key))
    assert len(ids.short(key)) == 8


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("0193d5a0-0000-7000-8000-000000000001", True),
        ("0193D5A0-0000-7000-8000-000000000001", False),
        ("0193d5a0000070008000000000000001", False),
        ("{0193d5a0-0000-7000-8000-000000000001}", False),
        ("1", False),
        ("", False),
        ("\x00", False),
        (None, False),
        (7, False),
    ],
)
def test_only_that_text_can_be_an_id(text: object, answer: bool) -> None:
    assert ids.is_id(text) is answer  # type: ignore[arg-type]
