"""The catalogue of mutants fits the scripts as they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from lupa import lua51

from .__main__ import LIKELY
from .catalogue import LUA, MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_stands_once_in_its_script_and_changes_it(mutant: Mutant) -> None:
    assert mutant.applied() != (LUA / mutant.file).read_text()
    assert mutant.breaks.endswith(".")


def test_no_two_mutants_share_a_name_or_a_change() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    assert len({(mutant.file, mutant.applied()) for mutant in MUTANTS}) == len(MUTANTS)


def test_every_script_and_every_include_has_mutants() -> None:
    assert {mutant.file for mutant in MUTANTS} == {str(path.relative_to(LUA)) for path in LUA.rglob("*.lua")}


def test_every_include_has_tests_that_are_tried_first() -> None:
    files = {path.stem for path in Path(__file__).parents[1].glob("broker/test_*.py")}

    assert {path.stem for path in (LUA / "include").glob("*.lua")} <= {*LIKELY, "settle"}
    assert {"test_settle", *(f"test_{name}" for names in LIKELY.values() for name in names)} <= files


def test_every_mutant_is_lua_that_can_be_loaded() -> None:
    """What cannot be loaded would be noticed by any test: it would prove nothing."""
    lua = lua51.LuaRuntime()

    for mutant in MUTANTS:
        lua.compile(mutant.applied())
