"""Bodies that nobody has packed: whatever they are, they are unreadable, or jobs whose fields are of the right kind."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from django_backie.cleansing import cleanse
from django_backie.core import codec, jsonic
from django_backie.core.job import Job
from django_backie.core.options import option_problem
from django_backie.core.signer import Signer
from django_backie.exceptions import UnreadableBody, UnserializableValue
from django_backie.moments import moment

from .support import JOB_ID, LIMIT, SIGNER, make_job

thorough = settings(deadline=None, max_examples=200)

OTHER_ID = "0193d5a0-0000-7000-8000-000000000002"
GOOD = codec.pack(make_job(queue="mail", priority=7, args=["argument", 1], kwargs={"a": [None]}), SIGNER, LIMIT).body


def signed(envelope: str, queue: str = "mail", priority: str = "7") -> str:
    """Return a body with our own signature, as only a bug or somebody with the key could make it."""
    signature = SIGNER.sign(codec._signed(JOB_ID, queue, priority, envelope))
    return f"1\n{queue}\n{priority}\n{signature}\n{envelope}"


def unpacked(body: str) -> Job | None:
    """Return the job of a body, None if it is unreadable; any other error fails the test."""
    try:
        return codec.unpack(JOB_ID, body, SIGNER)
    except UnreadableBody:
        return None


def leaves(value: Any, depth: int = 0) -> list[tuple[Any, int]]:
    """Return everything in a value that holds nothing, with the number of levels around it."""
    if isinstance(value, dict):
        assert all(type(key) is str for key in value)
        value = list(value.values())
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item, depth + 1)] or [(None, depth + 1)]
    return [(value, depth)]


def assert_sound(job: Job) -> None:
    """Fail unless a job can be run, retried, mirrored and shown."""
    assert (job.id, type(job.args), type(job.kwargs)) == (JOB_ID, list, dict)
    assert {type(text) for text in (job.task, job.queue, job.database, job.backend)} == {str}
    assert type(job.priority) is int
    assert abs(job.priority) <= 100
    assert moment(job.created).year
    assert job.run_after is None or moment(job.run_after).year
    for name in ("max_attempts", "backoff", "timeout", "hard_timeout", "atomic"):
        value = getattr(job.options, name)
        assert value is None or option_problem(name, value) is None, name
    for argument in (job.args, job.kwargs):
        for leaf, depth in leaves(argument):
            assert depth <= jsonic.MAX_DEPTH
            assert type(leaf) is not float or isfinite(leaf)
    assert json.dumps(cleanse({**job.kwargs, "args": job.args}))


# Hostile values.

tags = st.sampled_from(["dt", "d", "t", "td", "u", "n", "esc", "new", "", None, 1, [], {}])
numbers = (
    st.integers()
    | st.floats()
    | st.sampled_from([10**30, -(10**400), 2**63, 1e308, -1e308, True, False, 253_402_300_800_000])
)
scalars = (
    st.none()
    | numbers
    | st.text(max_size=20)
    | st.sampled_from(["1,2,3", "99999999999,0,0", "NaN", "-sNaN", "2026-01-01"])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["__t", "v", "a", "k"]) | st.text(max_size=5), inner, max_size=4)
        | st.fixed_dictionaries({"__t": tags, "v": inner})
    ),
    max_leaves=12,
)
fields = dict.fromkeys(codec._TYPES, values)
plausible = {"t": st.just("shop.tasks.send"), "c": st.just(1_700_000_000_000)}
envelopes = (
    values
    # One field at a time, for the first wrong one ends the reading.
    | st.sampled_from(sorted(fields)).flatmap(lambda key: st.fixed_dictionaries({**plausible, key: values}))
    | st.fixed_dictionaries(plausible, optional={key: fields[key] for key in fields.keys() - plausible})
)


@thorough
@given(st.text(st.characters(codec=None)))
def test_any_text_is_unreadable(text: str) -> None:
    assert unpacked(text) is None


@thorough
@given(envelopes)
def test_a_signed_envelope_is_unreadable_or_sound(envelope: Any) -> None:
    job = unpacked(signed(json.dumps(envelope)))

    if job is not None:
        assert_sound(job)


@thorough
@given(values)
def test_signed_arguments_are_unreadable_or_sound_and_can_be_packed_again(value: Any) -> None:
    job = unpacked(signed(json.dumps({"t": "x", "c": 1, "a": [value], "k": {"key": value}})))

    if job is not None:
        assert_sound(job)
        assert codec.pack(job, SIGNER, LIMIT).body


@thorough
@given(st.text(alphabet='{}[]",:\\ntfe0123456789.-+EINay_v\n \x00é\ud800', max_size=60))
def test_signed_text_that_resembles_json_is_unreadable_or_sound(text: str) -> None:
    for envelope in (text, f'{{"t":"x","c":1,"a":[{text}]}}', f'{{"t":"x","c":{text}}}'):
        job = unpacked(signed(envelope))
        if job is not None:
            assert_sound(job)


@thorough
@given(st.text(max_size=30), st.text(max_size=30))
def test_signed_places_are_unreadable_or_sound(queue: str, priority: str) -> None:
    job = unpacked(signed('{"t":"x","c":1}', queue, priority))

    if job is not None:
        assert_sound(job)


# Every mutation of a good body is noticed.


def flip(body: str, data: st.DataObject) -> str:
    raw = bytearray(body.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    # As the client decodes what Redis holds.
    return raw.decode(errors="replace")


def cut(body: str, data: st.DataObject) -> str:
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(body))] * 2)))
    return data.draw(st.sampled_from([body[start:stop], body[:start] + body[stop:]]))


def repeat(body: str, data: st.DataObject) -> str:
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(body))] * 2)))
    return body[:stop] + body[start:]


def swap_lines(body: str, data: st.DataObject) -> str:
    return "\n".join(data.draw(st.permutations(body.split("\n"))))


def graft(body: str, data: st.DataObject) -> str:
    """Put a line of another good body in the place of this one's."""
    other = codec.pack(make_job(queue="slow", priority=-7, args=["other"]), SIGNER, LIMIT).body
    lines, others = body.split("\n", 4), other.split("\n", 4)
    for at in data.draw(st.sets(st.integers(1, 4), min_size=1, max_size=3)):
        lines[at] = others[at]
    return "\n".join(lines)


def insert(body: str, data: st.DataObject) -> str:
    at = data.draw(st.integers(0, len(body)))
    return body[:at] + data.draw(st.text(min_size=1, max_size=5)) + body[at:]


@pytest.mark.parametrize("mutation", [flip, cut, repeat, swap_lines, graft, insert])
@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_a_mutated_body_is_unreadable(mutation: Any, data: st.DataObject) -> None:
    mutated = mutation(GOOD, data)
    assume(mutated != GOOD)

    assert unpacked(mutated) is None


def test_the_body_of_one_job_is_none_of_another() -> None:
    assert unpacked(GOOD) is not None
    with pytest.raises(UnreadableBody, match="signature"):
        codec.unpack(OTHER_ID, GOOD, SIGNER)


@pytest.mark.parametrize("secret", ["", "not a secret ", "Not a secret", "not a secre"])
def test_another_key_signs_nothing_for_us(secret: str) -> None:
    assert unpacked(codec.pack(make_job(), Signer.of([secret]), LIMIT).body) is None


# Named bombs: what a library once fell for.

BOMBS = {
    "levels": '{"t":"x","c":1,"a":' + "[" * 33 + "]" * 33 + "}",
    "many levels": '{"t":"x","c":1,"a":' + "[" * 100_000 + "]" * 100_000 + "}",
    "levels of mappings": '{"t":"x","c":1,"k":' + '{"a":' * 500 + "1" + "}" * 501,
    "levels hidden in tags": '{"t":"x","c":1,"a":[' + '{"__t":"esc","v":[["a",' * 40 + "1" + "]]}" * 40 + "]}",
    "NaN": '{"t":"x","c":1,"a":[NaN]}',
    "infinity": '{"t":"x","c":1,"a":[-Infinity]}',
    "infinity in digits": '{"t":"x","c":1,"a":[1e999]}',
    "infinite time": '{"t":"x","c":1e999}',
    "digits": '{"t":"x","c":' + "9" * 5000 + "}",
    "time beyond a float": '{"t":"x","c":1' + "0" * 400 + "}",
    "time beyond datetime": '{"t":"x","c":253402300800000}',
    "run after beyond datetime": '{"t":"x","c":1,"r":-99999999999999999}',
    "no decimal": '{"t":"x","c":1,"a":[{"__t":"n","v":"abc"}]}',
    "timedelta beyond its range": '{"t":"x","c":1,"a":[{"__t":"td","v":"99999999999,0,0"}]}',
    "mapping with a key that is no text": '{"t":"x","c":1,"a":[{"__t":"esc","v":[[null,null]]}]}',
    "tag without a value": '{"t":"x","c":1,"a":[{"__t":"u"}]}',
    "tag of a number": '{"t":"x","c":1,"a":[{"__t":"dt","v":7}]}',
    "tag for an envelope": '{"__t":"u","v":"00000000-0000-0000-0000-000000000000"}',
    "task that is no text": '{"t":5,"c":1}',
    "task that is a tag": '{"t":{"__t":"u","v":"00000000-0000-0000-0000-000000000000"},"c":1}',
    "arguments that are a mapping": '{"t":"x","c":1,"a":{}}',
    "names that are a list": '{"t":"x","c":1,"k":[]}',
    "attempts as text": '{"t":"x","c":1,"m":"5"}',
    "attempts as true": '{"t":"x","c":1,"m":true}',
    "no attempts": '{"t":"x","c":1,"m":0}',
    "endless waiting": '{"t":"x","c":1,"o":[1e999]}',
    "no waiting times": '{"t":"x","c":1,"o":[]}',
    "waiting times that are lists": '{"t":"x","c":1,"o":[[1]]}',
    "time limit of nothing": '{"t":"x","c":1,"x":0}',
    "hard time limit below nothing": '{"t":"x","c":1,"h":-1}',
    "hard time limit as null": '{"t":"x","c":1,"h":null}',
    "database that is a list": '{"t":"x","c":1,"d":[]}',
    "backend that is a number": '{"t":"x","c":1,"b":1}',
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_signed_bomb_is_unreadable(name: str) -> None:
    assert unpacked(signed(BOMBS[name])) is None


@pytest.mark.parametrize("priority", ["101", "-101", "9" * 30, "9" * 5000, "", "1.5", "inf", "0x1"])
def test_a_signed_priority_that_django_would_refuse_is_unreadable(priority: str) -> None:
    assert unpacked(signed('{"t":"x","c":1}', "mail", priority)) is None


def test_of_two_fields_of_one_name_the_last_counts_for_every_reader() -> None:
    job = unpacked(signed('{"t":"first","c":1,"t":"second"}'))

    assert job is not None
    assert job.task == "second"


def test_a_field_of_a_later_release_means_nothing() -> None:
    assert unpacked(signed('{"t":"x","c":1,"later":[1]}')) == unpacked(signed('{"t":"x","c":1}'))


def test_the_size_is_looked_at_before_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def touched(*_: Any, **__: Any) -> None:
        pytest.fail("a body that is too long was looked into")

    for room, name in ((jsonic, "loads"), (Signer, "accepts"), (codec, "lines")):
        monkeypatch.setattr(room, name, touched)

    assert unpacked(GOOD + " " * codec.LONGEST_BODY) is None


def test_nothing_is_decoded_before_the_signature_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonic, "loads", lambda *_: pytest.fail("an envelope was decoded that nobody has signed"))

    assert unpacked(GOOD[:-1] + "?") is None


# What cannot be read cannot be written either.


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_number_in_json_is_refused_both_ways(value: float) -> None:
    with pytest.raises(UnserializableValue):
        codec.pack(make_job(args=[value]), SIGNER, LIMIT)
    with pytest.raises(ValueError, match="not a finite number"):
        jsonic.loads(json.dumps([value]))


@pytest.mark.parametrize("levels", [31, 32, 33, 34, 100])
def test_the_same_depth_is_refused_both_ways(levels: int) -> None:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value} if levels % 2 else [value]
    text = json.dumps(value)
    if levels <= jsonic.MAX_DEPTH:
        assert jsonic.loads(jsonic.dumps(value)) == jsonic.loads(text) == value
        return
    with pytest.raises(UnserializableValue, match="nested deeper than 32 levels"):
        jsonic.dumps(value)
    with pytest.raises(ValueError, match="nested deeper than 32 levels"):
        jsonic.loads(text)


@pytest.mark.parametrize("levels", [31, 32])
def test_arguments_of_the_greatest_depth_that_can_be_written_can_be_read(levels: int) -> None:
    value: Any = {"__t": "own"}
    for _ in range(levels - 2):
        value = [value]
    job = make_job(args=[value], kwargs={"key": value})

    assert unpacked(codec.pack(job, SIGNER, LIMIT).body) == job
