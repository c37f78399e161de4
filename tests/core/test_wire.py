"""The text of a body, byte for byte: jobs wait in Redis and in rows while releases come and go."""

from __future__ import annotations

import hmac
import json
import threading
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_backie.core import codec
from django_backie.core.job import Job
from django_backie.core.options import LONGEST, Options
from django_backie.core.signer import Signer

from .support import LIMIT, SIGNER, make_job

quick = settings(deadline=None, max_examples=150)

EVERY_FIELD = {
    "task": "läden.tasks.send",
    "queue": "Post ✉",
    "priority": -7,
    "args": [1, "ä\ud800"],
    "kwargs": {"b": (1.5, None)},
    "run_after": 1_800_000_000.001,
    "options": Options(9, (1.0, 2.5), None, atomic=True),
    "database": "other",
    "backend": "mail",
}

jobs = st.builds(
    make_job,
    task=st.sampled_from(["shop.tasks.send", "läden.tasks.send", 'a"b']),
    args=st.lists(st.none() | st.integers() | st.text(max_size=5), max_size=2),
    # "__t" marks what is not plain JSON; a name like it is escaped (test_jsonic.py).
    kwargs=st.dictionaries(
        st.text(max_size=3).filter(lambda name: name != "__t"),
        st.booleans() | st.lists(st.integers(), max_size=2),
        max_size=2,
    ),
    created=st.floats(0, 4e9),
    run_after=st.none() | st.floats(0, 4e9),
    options=st.builds(
        Options,
        max_attempts=st.integers(1, 9),
        backoff=st.floats(0.1, LONGEST)
        | st.lists(st.floats(0, LONGEST), min_size=1, max_size=3).map(tuple)
        | st.just("task"),
        retry_for=st.lists(st.text(max_size=5), max_size=2).map(tuple),
        discard_for=st.lists(st.text(max_size=5), max_size=2).map(tuple),
        on_success=st.sampled_from(["", "a.b"]),
        on_failure=st.sampled_from(["", "a.b"]),
        on_exhausted=st.sampled_from(["", "a.b"]),
        timeout=st.none() | st.floats(0.1, LONGEST),
        hard_timeout=st.none() | st.floats(0.1, LONGEST),
        atomic=st.booleans(),
    ),
    database=st.sampled_from(["default", "other"]),
    backend=st.sampled_from(["default", "läden"]),
    expires=st.none() | st.floats(0, 4e9),
    unique=st.sampled_from(["", "e0f", "s1|60000", "e1|r", "s1|60000|x"]),
)


def signature_by_the_book(key: bytes, message: bytes) -> str:
    return urlsafe_b64encode(hmac.digest(key, message, "sha256")[:16])[:22].decode()


def envelope_by_the_book(job: Job) -> dict[str, Any]:
    """Return every field of an envelope, with a mark where its default is left out."""
    options = job.options
    fields = {
        "u": (job.unique, ("",)),
        "t": (job.task, ()),
        "a": (job.args, ([],)),
        "k": (job.kwargs, ({},)),
        "c": (round(job.created * 1000), ()),
        "r": (job.run_after if job.run_after is None else round(job.run_after * 1000), (None,)),
        "m": (options.max_attempts, (5,)),
        "o": (options.backoff, (15.0,)),
        "x": (options.timeout, (3600.0,)),
        "h": (options.hard_timeout, (None,)),
        "z": (int(options.atomic), (0,)),
        "f": (options.retry_for, ((),)),
        "g": (options.discard_for, ((),)),
        "s": (options.on_success, ("",)),
        "w": (options.on_failure, ("",)),
        "y": (options.on_exhausted, ("",)),
        "e": (job.expires if job.expires is None else round(job.expires * 1000), (None,)),
        "d": (job.database, ("default",)),
        "b": (job.backend, ("default",)),
    }
    return {key: value for key, (value, defaults) in fields.items() if value not in defaults}


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ({}, '1\ndefault\n0\nnIQksfiwVzJ6C2yy3AzGJQ\n{"t":"shop.tasks.send","c":1700000000123}'),
        (
            EVERY_FIELD,
            "1\nPost ✉\n-7\nqZBtsKRgmRaSpeEXLiBz7g\n"
            '{"t":"l\\u00e4den.tasks.send","a":[1,"\\u00e4\\ud800"],"k":{"b":[1.5,null]},"c":1700000000123,'
            '"r":1800000000001,"m":9,"o":[1.0,2.5],"x":null,"z":1,"d":"other","b":"mail"}',
        ),
    ],
    ids=["nothing set", "everything set"],
)
def test_a_body_is_the_one_that_the_first_release_wrote(fields: dict[str, Any], body: str) -> None:
    assert codec.pack(make_job(**fields), SIGNER, LIMIT).body == body


@quick
@given(jobs)
def test_an_envelope_holds_what_is_not_the_default_in_a_fixed_order(job: Job) -> None:
    envelope = codec.pack(job, SIGNER, LIMIT).body.split("\n", 4)[4]

    # By value: arguments are escaped only where they must be, names always.
    assert list(json.loads(envelope).items()) == list(json.loads(json.dumps(envelope_by_the_book(job))).items())


@quick
@given(st.binary(max_size=5000), st.text(max_size=10))
def test_a_signature_is_hmac_sha256_as_the_standard_library_makes_it(message: bytes, secret: str) -> None:
    signer = Signer.of([secret.encode(errors="surrogatepass")])

    assert signer.sign(message) == signature_by_the_book(signer.keys[0], message)


def test_a_signature_does_not_depend_on_those_made_before() -> None:
    assert [SIGNER.sign(b"a"), SIGNER.sign(b"b"), SIGNER.sign(b"a")] == [
        signature_by_the_book(SIGNER.keys[0], message) for message in (b"a", b"b", b"a")
    ]


def test_threads_sign_with_one_signer() -> None:
    message = b"m" * 100_000  # long enough for the library to let other threads run meanwhile
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.extend(SIGNER.sign(message) for _ in range(20))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(found), set(found)) == (80, {signature_by_the_book(SIGNER.keys[0], message)})


def test_the_keys_of_a_signer_are_not_shown() -> None:
    assert repr(SIGNER) == "Signer()"
