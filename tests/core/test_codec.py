"""Job <-> body."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_backie import conf
from django_backie.core import codec, head
from django_backie.core.options import LONGEST, Options
from django_backie.core.signer import Signer
from django_backie.exceptions import NewerBody, PayloadTooLarge, UnreadableBody, UnserializableValue

from .support import JOB_ID, LIMIT, SIGNER, make_job

quick = settings(deadline=None, max_examples=150)

# Whole minutes: time.fromisoformat() of CPython 3.13 forgets an offset below a second.
offsets = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
texts = st.text(st.characters(codec=None), max_size=20)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=2**53, max_value=2**200)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
    | st.datetimes(timezones=st.none() | offsets).map(lambda value: value.replace(fold=0))
    | st.dates()
    | st.times(timezones=st.none() | offsets).map(lambda value: value.replace(fold=0))
    | st.timedeltas()
    | st.uuids()
    | st.decimals(allow_nan=False)
)
keys = texts | st.sampled_from(["__t", "v", "a", "k"])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


def round_trip(**fields: Any) -> codec.Job:
    packed = codec.pack(make_job(**fields), SIGNER, LIMIT)
    return codec.unpack(packed.id, packed.body, SIGNER)


@quick
@given(args=st.lists(values, max_size=3), kwargs=st.dictionaries(keys, values, max_size=3))
def test_every_value_comes_back_equal_and_of_its_kind(args: list[Any], kwargs: dict[str, Any]) -> None:
    job = round_trip(args=args, kwargs=kwargs)

    assert (job.args, job.kwargs) == (args, kwargs)
    assert repr(job.args) == repr(args)


@quick
@given(args=st.lists(values, max_size=3))
def test_every_body_can_be_sent_and_has_its_five_lines(args: list[Any]) -> None:
    body = codec.pack(make_job(args=args), SIGNER, LIMIT).body

    assert body.encode().decode() == body
    assert body.split("\n", 4)[:3] == ["1", "default", "0"]
    assert "\x00" not in body, "PostgreSQL keeps no NUL"


@pytest.mark.parametrize(
    "value",
    [
        datetime(2026, 11, 22, 13, 30, 1, 999_999, tzinfo=UTC),
        datetime(2026, 11, 22, tzinfo=timezone(timedelta(hours=5, minutes=45))),
        datetime(1, 1, 1),
        date(9999, 12, 31),
        time(23, 59, 59, 1),
        timedelta.min,
        timedelta.max,
        timedelta(microseconds=-1),
        UUID(int=0),
        Decimal("1.10"),
        Decimal("-1E+400"),
        2**64 + 1,
        -0.0,
        5e-324,
        "\x00",
        "\ud800",
        "a\nb\u2028c",
        "",
        [],
        {},
        {"": ""},
        {"__t": "dt", "v": "2026-11-22T00:00:00"},
        {"__t": "esc", "v": [["a", 1]]},
        {"__t": {"__t": {"__t": None}}},
        {"__t": ["unhashable"]},
        {"a": [{"__t": "n", "v": "1"}, Decimal(1)]},
        {"\ud800__t": "\udfff"},
    ],
    ids=repr,
)
def test_a_difficult_value_comes_back_as_it_was(value: Any) -> None:
    job = round_trip(args=[value], kwargs={"key": value})

    assert (repr(job.args), repr(job.kwargs)) == (repr([value]), repr({"key": value}))


def test_a_decimal_that_is_no_number_comes_back() -> None:
    assert round_trip(args=[Decimal("NaN")]).args[0].is_nan()


def test_tuples_become_lists_and_bytes_become_text() -> None:
    assert round_trip(args=[(1, (2,)), "ä".encode()]).args == [[1, [2]], "ä"]


def test_everything_that_travels_with_a_job_comes_back() -> None:
    fields = {
        "task": "ä.tasks.send",
        "queue": "Post ✉",
        "priority": -100,
        "created": 1_700_000_000.987,
        "run_after": 1_800_000_000.001,
        "options": Options(
            max_attempts=9,
            backoff=(1.0, 2.5),
            timeout=None,
            retry_for=("a.B",),
            discard_for=("c.D", "e.F"),
            on_success="tasks.a",
            on_failure="tasks.b",
            on_exhausted="tasks.c",
        ),
        "expires": 1_900_000_000.001,
        "database": "other",
        "backend": "mail",
    }

    assert round_trip(**fields) == make_job(**fields)


def test_a_default_is_not_written_out() -> None:
    body = codec.pack(make_job(), SIGNER, LIMIT).body

    assert body.rpartition("\n")[2] == '{"t":"shop.tasks.send","c":1700000000123}'


def test_the_broker_gets_the_place_that_the_body_names() -> None:
    packed = codec.pack(make_job(queue="mail", priority=7, run_after=5.0), SIGNER, LIMIT)

    assert (packed.id, packed.queue, packed.priority, packed.run_after) == (JOB_ID, "mail", 7, 5.0)
    assert head.place(packed.body) == ("mail", 7)


@pytest.mark.parametrize("line", range(5))
def test_every_line_is_covered_by_the_signature(line: int) -> None:
    lines = codec.pack(make_job(queue="7", priority=7), SIGNER, LIMIT).body.split("\n", 4)
    lines[line] = {0: "2", 1: "8", 2: "8", 3: lines[3][::-1], 4: lines[4].replace("send", "dens")}[line]

    with pytest.raises(UnreadableBody):
        codec.unpack(JOB_ID, "\n".join(lines), SIGNER)


def test_a_body_cannot_be_moved_to_another_id() -> None:
    body = codec.pack(make_job(), SIGNER, LIMIT).body

    with pytest.raises(UnreadableBody, match="signature does not match"):
        codec.unpack(JOB_ID[:-1] + "2", body, SIGNER)


def test_lines_cannot_be_shifted_under_one_signature() -> None:
    job = make_job(queue="5", priority=5)
    body = codec.pack(job, SIGNER, LIMIT).body.split("\n", 4)

    with pytest.raises(UnreadableBody):
        codec.unpack(f"{JOB_ID}\n5", "\n".join([body[0], "5", f"5\n{body[4]}", *body[3:]]), SIGNER)


def test_a_body_of_another_secret_is_refused() -> None:
    body = codec.pack(make_job(), Signer.of(["another"]), LIMIT).body

    with pytest.raises(UnreadableBody, match="another SECRET_KEY, or altered"):
        codec.unpack(JOB_ID, body, SIGNER)


def test_keys_are_rotated_by_putting_a_new_one_in_front() -> None:
    old, new, both = Signer.of(["old"]), Signer.of(["new"]), Signer.of(["new", "old"])

    assert codec.unpack(JOB_ID, codec.pack(make_job(), old, LIMIT).body, both) == make_job()
    assert codec.unpack(JOB_ID, codec.pack(make_job(), both, LIMIT).body, new) == make_job()
    with pytest.raises(UnreadableBody):
        codec.unpack(JOB_ID, codec.pack(make_job(), both, LIMIT).body, old)


def test_text_and_bytes_make_the_same_key() -> None:
    assert Signer.of(["ä"]) == Signer.of(["ä".encode()])


@pytest.mark.parametrize("version", ["0", "", "ä", "-2"])
def test_another_version_is_named_and_refused(version: str) -> None:
    body = codec.pack(make_job(), SIGNER, LIMIT).body.removeprefix("1")

    with pytest.raises(UnreadableBody, match=r"this release reads '1'"):
        codec.unpack(JOB_ID, version + body, SIGNER)


@pytest.mark.parametrize("version", ["2", "10", "99999999999999999999999999"])
def test_the_body_of_a_newer_release_is_told_from_a_damaged_one(version: str) -> None:
    body = codec.pack(make_job(), SIGNER, LIMIT).body.removeprefix("1")

    with pytest.raises(NewerBody, match=r"this release reads up to '1'"):
        codec.unpack(JOB_ID, version + body, SIGNER)


def test_a_body_that_is_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(UnreadableBody, match="more than 16777216"):
        codec.unpack(JOB_ID, "x" * (codec.LONGEST_BODY + 1), SIGNER)


@quick
@given(st.binary(max_size=200))
def test_random_bytes_are_unreadable_and_nothing_worse(data: bytes) -> None:
    with pytest.raises(UnreadableBody):
        codec.unpack(JOB_ID, data.decode(errors="replace"), SIGNER)


@quick
@given(st.lists(st.text(st.characters(codec=None), max_size=30), min_size=4, max_size=4))
def test_five_random_lines_are_unreadable_and_nothing_worse(lines: list[str]) -> None:
    with pytest.raises(UnreadableBody):
        codec.unpack(JOB_ID, "\n".join(["1", *lines]), SIGNER)


@pytest.mark.parametrize(
    "envelope", ["", "null", "[]", "{}", '{"t":1', '{"t":"x","c":"soon"}', "[" * 100_000, '{"c":1}']
)
def test_a_signed_envelope_that_is_none_is_unreadable(envelope: str) -> None:
    signature = SIGNER.sign(codec._signed(JOB_ID, "q", "0", envelope))

    with pytest.raises(UnreadableBody, match="envelope cannot be read"):
        codec.unpack(JOB_ID, f"1\nq\n0\n{signature}\n{envelope}", SIGNER)


@quick
@given(st.data())
def test_no_damage_to_one_character_goes_unnoticed(data: st.DataObject) -> None:
    body = codec.pack(make_job(args=["argument", 1, None]), SIGNER, LIMIT).body
    at = data.draw(st.integers(0, len(body) - 1))
    other = data.draw(st.characters().filter(lambda character: character != body[at]))

    with pytest.raises(UnreadableBody):
        codec.unpack(JOB_ID, body[:at] + other + body[at + 1 :], SIGNER)


@pytest.mark.parametrize("text", ["x" * 200, "ä" * 100])
def test_arguments_beyond_the_limit_are_refused_with_their_size(text: str) -> None:
    with pytest.raises(PayloadTooLarge, match=r"shop\.tasks\.send take 2\d\d bytes, more than the 150 of MAX_PAYLOAD"):
        codec.pack(make_job(args=[text]), SIGNER, 150)


def test_the_limit_itself_is_allowed() -> None:
    size = len(codec._arguments_text(make_job(args=["ä"])).encode())

    codec.pack(make_job(args=["ä"]), SIGNER, size)
    with pytest.raises(PayloadTooLarge):
        codec.pack(make_job(args=["ä"]), SIGNER, size - 1)


def test_an_argument_that_cannot_be_written_is_named_with_its_task() -> None:
    with pytest.raises(UnserializableValue, match=r"kwargs of shop\.tasks\.send: nan \(float\) at \['rate'\] cannot"):
        codec.pack(make_job(kwargs={"rate": math.nan}), SIGNER, LIMIT)


@pytest.mark.parametrize("backoff", [15.0, 0.5, (15.0,), (1.0, 2.0)])
def test_a_number_and_a_list_of_waiting_times_are_told_apart(backoff: Any) -> None:
    options = Options(backoff=backoff)

    assert round_trip(options=options).options == options


def test_jobs_are_frozen() -> None:
    with pytest.raises(AttributeError):
        make_job().queue = "other"  # type: ignore[misc]
    assert make_job()._replace(queue="other").queue == "other"


def test_a_wait_of_more_than_ten_years_is_taken_for_ten() -> None:
    """An earlier release took such times and signed them: its jobs must not be parked."""
    job = make_job(options=Options(timeout=1e12, backoff=(1.0, 1e300)))
    found = codec.unpack(JOB_ID, codec.pack(job, SIGNER, LIMIT).body, SIGNER).options

    assert (found.timeout, found.backoff) == (LONGEST, (1.0, LONGEST))


def test_a_hard_timeout_travels_and_costs_the_other_jobs_nothing() -> None:
    limited = codec.pack(make_job(options=Options(hard_timeout=90.5)), SIGNER, LIMIT).body

    assert codec.unpack(JOB_ID, limited, SIGNER).options.hard_timeout == 90.5
    assert '"h"' not in codec.pack(make_job(options=Options(max_attempts=9)), SIGNER, LIMIT).body


@pytest.mark.parametrize("timeout", [0.1, LONGEST, None])
@pytest.mark.parametrize("backoff", [LONGEST, (0, 1.5), [1]])
def test_what_the_settings_allow_travels(timeout: float | None, backoff: Any) -> None:
    config = conf.parse("default", {"TIMEOUT": timeout, "BACKOFF": backoff})
    job = make_job(options=Options(timeout=config.timeout, backoff=config.backoff))
    found = codec.unpack(JOB_ID, codec.pack(job, SIGNER, LIMIT).body, SIGNER).options

    assert (found.timeout, found.backoff) == (config.timeout, config.backoff)


@pytest.mark.parametrize("before", [{}, {"limits": "c1|2"}, {"group": "ab|1", "unique": "e1"}])
@pytest.mark.parametrize("ageing", [0, 7])
def test_a_body_for_another_queue_says_what_a_priority_is_worth_there(before: dict[str, Any], ageing: int) -> None:
    job = make_job(priority=5, ageing=ageing, args=['"p":1,'], **before)
    packed = codec.pack(job, SIGNER, LIMIT)

    for worth in (0, 9):
        body = codec.readdressed(packed.id, packed.body, "other", SIGNER, worth)
        assert codec.unpack(packed.id, body, SIGNER) == job._replace(queue="other", ageing=worth)
        assert body.splitlines()[0].endswith("p") == bool(worth)


def test_a_body_of_priority_nought_is_as_it_is_in_a_queue_that_does_not_age() -> None:
    packed = codec.pack(make_job(), SIGNER, LIMIT)

    assert codec.readdressed(packed.id, packed.body, "other", SIGNER, 9) == codec.readdressed(
        packed.id, packed.body, "other", SIGNER
    )


def test_what_a_priority_is_worth_travels() -> None:
    assert round_trip(priority=-5, ageing=1000, limits="c1|2", group="ab|1").ageing == 1000
