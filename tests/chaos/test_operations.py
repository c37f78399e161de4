"""What the operator of a campaign writes down."""

from __future__ import annotations

from pathlib import Path

from django_backie.chaos import operations
from django_backie.chaos.facts import CallingOff, Pause


def test_what_is_written_down_is_read_again(tmp_path: Path) -> None:
    pause, off = Pause("side", 1.5, 12.25), CallingOff("01a20424-d3be-7610-9513-60cc5cb6e820", "done", 3.5)
    operations.write_pause(tmp_path / "file", pause)
    operations.write_calling_off(tmp_path / "file", off)

    assert operations.read(tmp_path / "file") == ((pause,), (off,))


def test_an_operator_who_has_done_nothing_leaves_no_file(tmp_path: Path) -> None:
    assert operations.read(tmp_path / "file") == ((), ())
