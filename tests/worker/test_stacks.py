"""What the threads of a process do, asked from outside."""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from django_backie.worker.stacks import LONGEST_STACK, Stacks, parsed


@pytest.fixture
def stacks() -> Iterator[Stacks]:
    """Return a pipe that this process answers through."""
    made = Stacks()
    made.answer()
    yield made
    faulthandler.unregister(signal.SIGUSR2)
    made.close()


def wait_here(begun: threading.Event, gate: threading.Event) -> None:
    begun.set()
    gate.wait()


def test_every_thread_tells_where_it_is_the_most_recent_call_last(stacks: Stacks) -> None:
    begun, gate = threading.Event(), threading.Event()
    thread = threading.Thread(target=wait_here, args=(begun, gate))
    thread.start()
    begun.wait()
    try:
        found = stacks.ask(os.getpid())
    finally:
        gate.set()
        thread.join()
    assert {threading.get_ident(), thread.ident} <= set(found)
    assert thread.ident is not None
    lines = found[thread.ident].splitlines()
    assert "in _bootstrap" in lines[0]
    assert "in wait_here" in lines[-3]
    assert "threading.py" in lines[-1]


def test_an_answer_that_nobody_has_read_is_not_taken_for_a_later_one(stacks: Stacks) -> None:
    os.kill(os.getpid(), signal.SIGUSR2)
    (first,) = {str(found) for found in [stacks.ask(os.getpid())]}
    assert first.count("test_an_answer_that_nobody_has_read") == 1


def test_a_process_that_does_not_answer_has_no_stacks() -> None:
    silent = Stacks()
    before = faulthandler.register(signal.SIGUSR2, file=os.open(os.devnull, os.O_WRONLY), chain=False)
    try:
        assert silent.ask(os.getpid()) == {}
    finally:
        assert before is None
        faulthandler.unregister(signal.SIGUSR2)
        silent.close()


def test_a_long_stack_keeps_its_most_recent_calls() -> None:
    frames = "".join(f'  File "a.py", line {line} in f\n' for line in range(1000))
    (stack,) = parsed(f"Thread 0x00000000000000ff [backie-0] (most recent call first):\n{frames}").values()
    assert len(stack) == LONGEST_STACK
    assert stack.endswith("line 0 in f")


def test_what_is_no_dump_is_no_stack() -> None:
    assert parsed("") == parsed("Fatal error\nThread 0xzz\n") == {}
