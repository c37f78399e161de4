"""What a campaign says."""

from __future__ import annotations

import json
from dataclasses import replace

from django_backie.chaos.facts import Facts
from django_backie.chaos.report import Report, Setup, as_json, head, judge, text, verdict
from django_backie.chaos.stage import Struck

from .support import EFFECT, QUICK, good_facts

SETUP = Setup(7, 60.0, ("kill-child", "flushall"), "sqlite", "redis 7.0.15", 3, 3.0)
STRUCK = (
    Struck("kill-child", 10.0, 10.0, (100,)),
    Struck("kill-child", 20.0, 20.0, (101,)),
    Struck("flushall", 30, 30),
)

TRIED = dict.fromkeys(("conflicts", "replaced", "expired", "called off", "pauses", "slots"), 1)


def report_of(facts: Facts, quiet_after: float | None = 1.5) -> Report:
    return replace(judge(SETUP, STRUCK, facts, quiet_after), policies=TRIED)


def test_the_first_line_has_the_seed() -> None:
    assert head(SETUP) == "backie chaos   seed 7   60 s   sqlite   redis 7.0.15   3 workers   lease 3 s"


def test_a_campaign_without_violations_has_passed() -> None:
    report = report_of(good_facts())

    assert report.passed
    assert text(report).splitlines()[-1] == (
        "PASSED   6 jobs, 3 faults: 0 lost, 0 ghosts, 0 violation(s)   (repeat with --seed 7)"
    )


def test_a_violation_fails_the_campaign_and_is_shown_with_its_job() -> None:
    facts = good_facts()
    report = report_of(replace(facts, effects=(*facts.effects, EFFECT)))
    lines = text(report).splitlines()

    assert not report.passed
    assert f"        {EFFECT}: expected 1 effect(s) of a job that is SUCCESSFUL, found 2" in lines
    assert any(line.startswith("  I9  1 broken") for line in lines)
    assert lines[-1].startswith("FAILED   6 jobs, 3 faults: 0 lost, 0 ghosts, 1 violation(s)")


def test_a_lost_job_is_in_the_verdict() -> None:
    facts = good_facts()
    report = report_of(replace(facts, rows=tuple(row for row in facts.rows if row.job != QUICK)))

    assert "1 lost" in text(report).splitlines()[-1]
    assert as_json(report)["lost"] == [QUICK]


def test_a_campaign_that_never_became_quiet_has_failed() -> None:
    report = report_of(good_facts(), quiet_after=None)

    assert not report.passed
    assert "not all work was done in time" in text(report).splitlines()[-1]


def test_a_campaign_in_which_nothing_was_committed_has_failed() -> None:
    report = report_of(Facts())

    assert not report.passed
    assert "nothing was tried" in text(report).splitlines()[-1]


def test_a_campaign_of_a_minute_that_never_tried_a_policy_has_failed() -> None:
    report = replace(report_of(good_facts()), policies={**TRIED, "expired": 0})

    assert not report.passed
    assert "; never tried: expired   (" in verdict(report)
    assert replace(report, setup=replace(SETUP, seconds=59.0)).passed


def test_faults_are_counted_by_kind_and_explained() -> None:
    lines = text(report_of(good_facts())).splitlines()

    assert "  kill-child               2   kill -9 of a worker process" in lines
    assert "  flushall                 1   FLUSHALL" in lines


def test_invariants_of_features_that_do_not_exist_say_so() -> None:
    lines = text(report_of(good_facts())).splitlines()

    assert "  I10 -           a batch's callback fires exactly once (not applicable: no batches yet)" in lines


def test_the_json_has_the_documented_keys() -> None:
    found = json.loads(json.dumps(as_json(report_of(good_facts()))))

    assert list(found) == [
        "seed",
        "seconds",
        "faults",
        "database",
        "server",
        "workers",
        "lease",
        "passed",
        "faults_struck",
        "jobs",
        "runs",
        "lost",
        "ghosts",
        "duplicates",
        "effects",
        "policies",
        "quiet_after",
        "recoveries",
        "invariants",
        "violations",
    ]
    assert found["passed"] is True
    assert found["faults_struck"] == {"kill-child": 2, "flushall": 1}
    assert found["invariants"]["I1"] == "ok"
    assert found["invariants"]["I5"] == "ok"


def test_a_long_list_of_violations_is_cut_in_the_text_and_whole_in_the_json() -> None:
    facts = good_facts()
    strangers = tuple(f"01a20424-0000-7000-8000-0000000000{n:02}" for n in range(30))
    report = report_of(replace(facts, effects=(*facts.effects, *strangers)))

    assert "        and 10 more (--json has them all)" in text(report).splitlines()
    assert len(as_json(report)["violations"]) == 30
