"""The benchmarks' arithmetic and their report; what they measure is measured by ``dev.py bench``."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import load, report, steps
from benchmarks.machine import Cores
from benchmarks.peers import FLOOR, OURS, PEERS
from benchmarks.runner import role, run
from benchmarks.samples import Column, Figure, advantage, figure, percentile
from benchmarks.stage import Trouble
from benchmarks.tables import TABLES
from benchmarks.tables.base import Case, Plan, Section, Table

from .app.tasks import echo

RATE = Column("rate", "jobs/s", better="more")
WAITED = Column("waited", "p50 ms", 1, better="less", statistic="p50")


def a_figure(value: float) -> Figure:
    return Figure(value, value, value)


def a_row(name: str, role: str, *rates: float, **more: Any) -> dict[str, Any]:
    samples = [{"rate": rate} for rate in rates]
    return {"name": name, "peer": name, "role": role, "settings": "", "samples": samples, "trouble": "", **more}


def a_result(*rows: dict[str, Any], name: str = "drain") -> dict[str, Any]:
    column = {"key": "rate", "title": "jobs/s", "digits": 0, "better": "more", "statistic": "median"}
    section = {"title": "one process", "note": "A note.", "columns": [column], "rows": rows}
    return {
        "name": name,
        "title": "Draining",
        "about": "About it.",
        "rounds": 3,
        "sections": [section],
        "versions": {"celery": {"celery": "5.7.0", "python": "3.13.0"}},
    }


def a_run(made: str, *results: dict[str, Any], quick: bool = False) -> dict[str, Any]:
    machine = {"cores": "2 cores"}
    return {
        "made": made,
        "machine": machine,
        "load_average": 0.1,
        "server": "Redis 7",
        "quick": quick,
        "tables": results,
    }


def cells(text: str, name: str) -> list[str]:
    """Return the cells of the line of a table that begins with a name."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {name} "))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_a_figure_is_the_median_of_the_rounds_with_its_range() -> None:
    assert figure(RATE, [{"rate": 30.0}, {"rate": 10.0}, {"rate": 11.0}]) == Figure(11.0, 10.0, 30.0)


def test_a_percentile_is_of_the_values_of_all_rounds_together() -> None:
    samples = [{"waited": [1.0, 9.0]}, {"waited": [2.0, 3.0, 4.0]}]
    assert figure(WAITED, samples) == Figure(3.0, 1.0, 9.0)


def test_a_figure_that_nobody_has_measured_is_none() -> None:
    assert figure(RATE, [{"other": 1.0}]) is None
    assert figure(RATE, []) is None


@pytest.mark.parametrize(("percent", "expected"), [(50, 50), (99, 99), (100, 100), (1, 1)])
def test_a_percentile_is_a_value_that_occurred(percent: int, expected: int) -> None:
    assert percentile([*range(100, 0, -1)], percent) == expected


def test_an_advantage_above_one_means_that_ours_is_better_whichever_way_is_better() -> None:
    assert advantage(RATE, a_figure(300), a_figure(100)) == 3.0
    assert advantage(WAITED, a_figure(2), a_figure(6)) == 3.0
    assert advantage(RATE, a_figure(50), a_figure(100)) == 0.5


def test_there_is_no_advantage_where_nothing_was_measured_or_no_way_is_better() -> None:
    assert advantage(RATE, None, a_figure(1)) is None
    assert advantage(RATE, a_figure(1), a_figure(0)) is None
    assert advantage(Column("rate", "jobs/s"), a_figure(1), a_figure(2)) is None


def test_a_table_shows_medians_ranges_and_how_many_times_better_ours_is() -> None:
    text = report.table(
        a_result(a_row("ours", "ours", 20_000, 21_000, 19_000), a_row("celery", "peer", 1000, 990, 1010))
    )
    assert cells(text, "ours") == ["20,000 (19,000–21,000)", ""]
    assert cells(text, "celery") == ["1,000 (990–1,010)", "20.0x"]


def test_a_table_of_a_single_round_shows_no_ranges() -> None:
    text = report.table(a_result(a_row("ours", "ours", 20), a_row("celery", "peer", 40)))
    assert cells(text, "celery") == ["40", "0.50x"]


def test_all_are_compared_with_the_first_row_of_ours() -> None:
    rows = [a_row("floor", "floor", 90), a_row("one", "ours", 30), a_row("two", "ours", 10)]
    text = report.table(a_result(*rows))
    assert [cells(text, name)[1] for name in ("floor", "one", "two")] == ["0.33x", "", "3.0x"]


def test_a_system_that_failed_is_in_the_table_with_the_reason() -> None:
    failed = a_row("rq", "peer", trouble="rq ended\nTraceback ...")
    text = report.table(a_result(a_row("ours", "ours", 1), failed))
    assert cells(text, "rq") == ["–", "–"]
    assert "* rq failed: rq ended\n" in f"{text}\n"


def test_the_settings_of_a_system_stand_below_the_table() -> None:
    assert "* celery: solo pool" in report.table(a_result(a_row("celery", "peer", 1, settings="solo pool")))


def test_what_holds_for_several_rows_of_a_system_is_said_once() -> None:
    rows = [a_row(name, "peer", 1, peer="celery", settings="solo pool") for name in ("celery, one", "celery, two")]
    assert report.table(a_result(*rows)).count("solo pool") == 1


def test_the_lines_of_a_table_are_aligned() -> None:
    text = report.table(a_result(a_row("ours", "ours", 1), a_row("somebody else", "peer", 123_456)))
    assert len({len(line) for line in text.splitlines() if line.startswith("|")}) == 1


def test_of_several_results_the_page_shows_the_newest_of_each_table() -> None:
    old = a_run("2026-01-01T", a_result(a_row("ours", "ours", 1)), a_result(a_row("first", "ours", 5), name="start"))
    new = a_run("2026-02-02T", a_result(a_row("ours", "ours", 2)))
    page = report.document([old, new])
    assert cells(page, "ours") == ["2", ""]
    assert cells(page, "first") == ["5", ""]
    assert sum(line.startswith("| ours ") for line in page.splitlines()) == 1


def test_the_page_tells_the_machine_the_versions_and_the_commands() -> None:
    page = report.document([a_run("2026-02-02T10:00:00", a_result(a_row("ours", "ours", 2)), quick=True)])
    assert "* drain, 2026-02-02: 2 cores, Redis 7; load average before 0.1\n" in page
    assert "`python3 dev.py bench drain --quick`" in page
    assert cells(page, "celery")[:2] == ["5.7.0", "3.13.0"]


def test_a_version_that_only_one_of_the_tables_knows_is_on_the_page() -> None:
    first, second = a_result(a_row("ours", "ours", 1)), a_result(a_row("ours", "ours", 1), name="start")
    first["versions"] = {"celery": {"celery": "5.7.0", "postgresql": "17.1"}}
    assert cells(report.document([a_run("2026-02-02T", first, second)]), "celery")[-1] == "17.1"


@pytest.mark.parametrize(
    ("cores", "processes", "server", "work"),
    [
        ((3,), 1, {3}, {3}),
        ((0, 1), 1, {0}, {1}),
        ((0, 1), 2, {0}, {0, 1}),
        ((4, 5, 6, 7), 2, {4}, {5, 6}),
        ((4, 5, 6, 7), None, {4}, {4, 5, 6, 7}),
    ],
)
def test_the_server_has_a_core_to_itself_where_there_are_enough(
    cores: tuple[int, ...], processes: int | None, server: set[int], work: set[int]
) -> None:
    assert Cores(cores).server == server
    assert Cores(cores).work(processes) == work


def test_a_load_reaches_another_process_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = load.Load(kind="waits", processes=2, width=100, style="async", mirror="paused")
    for name, value in sent.as_environment().items():
        monkeypatch.setenv(name, value)
    assert load.current() == sent


def test_every_table_has_a_row_for_ours_and_for_every_system_that_can_take_part() -> None:
    plan = Plan(peers=tuple(PEERS.values()), databases=("sqlite", "postgresql"))
    for name, table in TABLES.items():
        cases = [case for section in table.sections(plan) for case in section.cases]
        assert OURS in {case.peer for case in cases}, name
        if name not in {"mirror", "growth", "steps", "fairness"}:
            assert {case.peer for case in cases} >= {PEERS["celery"], PEERS["dramatiq"]}, name
        for section in table.sections(plan):
            names = [case.row for case in section.cases]
            assert len(set(names)) == len(names), names


def test_a_quick_run_takes_fewer_jobs() -> None:
    assert Plan(peers=(), quick=True).jobs(OURS) < Plan(peers=()).jobs(OURS)


class FakeStage:
    """A stage on which nothing is started."""

    @contextmanager
    def scene(self, *_: Any) -> Iterator[Any]:
        yield SimpleNamespace(facts={"settings": "as it comes", "versions": {}})


def a_table(*acts: tuple[str, Any]) -> Table:
    cases = [Case(name, OURS, load.Load(), act) for name, act in acts]
    return Table("any", "Any", "", lambda plan: [Section("all", "", (RATE,), cases)])


def test_in_each_round_every_contestant_has_one_turn() -> None:
    turns: list[str] = []
    acts = [(name, lambda scene, name=name: turns.append(name) or {"rate": 1.0}) for name in ("a", "b")]
    result = run(a_table(*acts), Plan(peers=()), FakeStage(), 3)
    assert turns == ["a", "b"] * 3
    assert [len(row["samples"]) for row in result["sections"][0]["rows"]] == [3, 3]


def test_a_contestant_that_fails_is_not_asked_again_and_does_not_end_the_run() -> None:
    asked: list[int] = []

    def fail(scene: Any) -> Any:
        asked.append(1)
        raise Trouble("no")

    result = run(a_table(("a", fail), ("b", lambda scene: {"rate": 1.0})), Plan(peers=()), FakeStage(), 3)
    a, b = result["sections"][0]["rows"]
    assert (len(asked), a["trouble"], len(b["samples"])) == (1, "no", 3)


def test_only_ours_is_compared_with() -> None:
    assert [role(peer) for peer in (OURS, FLOOR, PEERS["rq"])] == ["ours", "floor", "peer"]


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
@pytest.mark.parametrize("takes_number", [False, True])
def test_each_step_of_a_job_has_a_cost(backend: Any, monkeypatch: pytest.MonkeyPatch, takes_number: bool) -> None:
    """The steps reach into the worker: a change there must not leave them behind."""
    monkeypatch.setattr(steps, "JOBS", 50)
    monkeypatch.setattr(steps, "ROUNDS", 2)
    work = echo.using(durability="commit")

    found = steps.of_python(work, takes_number=takes_number)
    in_server = steps.of_scripts(work, lambda: float(next(clock)), takes_number=takes_number)

    assert set(found) == {"make", "delay_many", "leases", "open", "run", "end", "log"}
    assert all(cost > 0 for cost in found.values())
    assert set(in_server) == {"enqueue", "claim", "settle", "take and done"}


clock = itertools.count()
