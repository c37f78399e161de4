"""Job <-> body: versioned, signed text that Redis and the job table keep as it is.

A body is five lines: version, queue, priority, signature, envelope. The first three stand outside the envelope so that
a script can put a job back in its place without reading JSON. The signature (HMAC-SHA256, 128 bits kept; RFC 2104)
covers the id and all other lines, so a body cannot be moved to another id, queue or priority.
"""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from types import NoneType
from typing import Any

from ..exceptions import NewerBody, PayloadTooLarge, UnreadableBody, UnserializableValue
from . import jsonic
from .job import Job, Packed
from .options import DEFAULT_BACKOFF, DEFAULT_MAX_ATTEMPTS, DEFAULT_TIMEOUT, LONGEST, Options, is_number, option_problem

VERSION = "1"
LONGEST_BODY = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs with the first key, accepts any: keys are rotated by putting a new one in front."""

    keys: tuple[bytes, ...]

    @classmethod
    def of(cls, secrets: Sequence[str | bytes]) -> Signer:
        """Return a signer whose keys are derived from secrets such as Django's SECRET_KEY and its fallbacks."""
        encoded = (secret.encode() if isinstance(secret, str) else secret for secret in secrets)
        return cls(tuple(sha256(b"django_backie.body" + secret).digest() for secret in encoded))

    def sign(self, message: bytes) -> str:
        """Return the signature of a message as 22 characters."""
        return _signature(self.keys[0], message)

    def accepts(self, message: bytes, signature: str) -> bool:
        """Tell whether any of the keys made this signature, in constant time for each."""
        # compare_digest refuses other text with a TypeError.
        return signature.isascii() and any(
            hmac.compare_digest(_signature(key, message), signature) for key in self.keys
        )


def _signature(key: bytes, message: bytes) -> str:
    return urlsafe_b64encode(hmac.digest(key, message, "sha256")[:16])[:22].decode()


def pack(job: Job, signer: Signer, limit: int) -> Packed:
    """Return a job as the broker takes it.

    Raises:
        UnserializableValue: an argument cannot be written as JSON; names which and where.
        PayloadTooLarge: the arguments exceed ``limit`` bytes.
    """
    envelope = _envelope_text(job, limit)
    signature = signer.sign(_signed(job.id, job.queue, str(job.priority), envelope))
    body = f"{VERSION}\n{job.queue}\n{job.priority}\n{signature}\n{envelope}"
    return Packed(job.id, job.queue, job.priority, body, job.run_after)


def unpack(job_id: str, body: str, signer: Signer) -> Job:
    """Return the job of a body.

    Raises:
        NewerBody: a newer release wrote it.
        UnreadableBody: too long, not of this version, not signed by any of our keys, or not an envelope.
    """
    if len(body) > LONGEST_BODY:
        msg = f"the body has {len(body)} characters, more than {LONGEST_BODY}"
        raise UnreadableBody(msg)
    version, queue, priority, signature, envelope = _lines(body)
    if version.isdecimal() and int(version[:9]) > int(VERSION):
        msg = f"the body has version {version[:20]!r}, this release reads up to {VERSION!r}"
        raise NewerBody(msg)
    if version != VERSION:
        msg = f"the body has version {version[:20]!r}, this release reads {VERSION!r}"
        raise UnreadableBody(msg)
    if not signer.accepts(_signed(job_id, queue, priority, envelope), signature):
        msg = "the signature does not match: the body was written with another SECRET_KEY, or altered"
        raise UnreadableBody(msg)
    try:
        # The envelope is one level around the arguments.
        return _job(job_id, queue, int(priority), jsonic.loads(envelope, jsonic.MAX_DEPTH + 1))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        msg = f"the envelope cannot be read: {error!r}"
        raise UnreadableBody(msg) from error


def place(body: str) -> tuple[str, int]:
    """Return the queue and the priority that stand at the head of a body, unverified."""
    _, queue, priority, *_ = _lines(body)
    return queue, int(priority)


def _lines(body: str) -> list[str]:
    lines = body.split("\n", 4)
    if len(lines) != 5:
        msg = "the body does not have five lines"
        raise UnreadableBody(msg)
    return lines


def _signed(job_id: str, queue: str, priority: str, envelope: str) -> bytes:
    return f"{VERSION}\n{job_id}\n{queue}\n{priority}\n{envelope}".encode(errors="surrogatepass")


def _envelope_text(job: Job, limit: int) -> str:
    arguments = _arguments_text(job)
    if len(arguments) > limit or len(arguments.encode(errors="surrogatepass")) > limit:
        size = len(arguments.encode(errors="surrogatepass"))
        msg = f"the arguments of {job.task} take {size} bytes, more than the {limit} of MAX_PAYLOAD; pass a reference"
        raise PayloadTooLarge(msg)
    return f"{{{arguments},{json.dumps(_sparse(job), separators=(',', ':'))[1:]}"


def _arguments_text(job: Job) -> str:
    parts = []
    for key, name, value in (("a", "args", job.args), ("k", "kwargs", job.kwargs)):
        if value:
            parts.append(f'"{key}":{_argument_text(job.task, name, value)}')
    return ",".join([f'"t":{json.dumps(job.task)}', *parts])


def _argument_text(task: str, name: str, value: Any) -> str:
    try:
        return jsonic.dumps(value)
    except UnserializableValue as error:
        msg = f"{name} of {task}: {error}"
        raise UnserializableValue(msg) from error.__cause__


def _sparse(job: Job) -> dict[str, Any]:
    """Return the rest of the envelope; what equals the default of this version is left out."""
    options = job.options
    fields: dict[str, Any] = {"c": round(job.created * 1000)}
    if job.run_after is not None:
        fields["r"] = round(job.run_after * 1000)
    if options.max_attempts != DEFAULT_MAX_ATTEMPTS:
        fields["m"] = options.max_attempts
    if options.backoff != DEFAULT_BACKOFF:
        fields["o"] = options.backoff
    if options.timeout != DEFAULT_TIMEOUT:
        fields["x"] = options.timeout
    if options.atomic:
        fields["z"] = 1
    if job.database != "default":
        fields["d"] = job.database
    if job.backend != "default":
        fields["b"] = job.backend
    return fields


# Exact types: a bool is no number. What is not here is a later release's and means nothing to this one.
_TYPES: dict[str, tuple[type, ...]] = {
    "t": (str,),
    "a": (list,),
    "k": (dict,),
    "c": (int,),
    "r": (int,),
    "m": (int,),
    "o": (int, float, list),
    "x": (int, float, NoneType),
    "z": (int,),
    "d": (str,),
    "b": (str,),
}
_OPTIONS = {"m": "max_attempts", "o": "backoff", "x": "timeout"}
# What datetime can hold, in milliseconds: the years 1 to 9999.
_FIRST, _LAST = -62_135_596_800_000, 253_402_300_799_999
_LARGEST_PRIORITY = 100


def _bounded(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields with times of ten years at most: an earlier release took longer ones, and signed them."""
    return {key: _at_most_longest(value) if key in {"o", "x"} else value for key, value in fields.items()}


def _at_most_longest(value: Any) -> Any:
    if type(value) is list:
        return [_at_most_longest(item) for item in value]
    return min(value, LONGEST) if is_number(value) else value


def _require_sound(priority: int, fields: dict[str, Any]) -> None:
    """Refuse what none of our callers can have meant: a job that is run, or mirrored, has fields of the right kind."""
    for key, value in fields.items():
        if type(value) not in _TYPES.get(key, (type(value),)):
            msg = f"field {key!r} is {type(value).__name__}"
            raise ValueError(msg)
        if key in _OPTIONS and value is not None and (problem := option_problem(_OPTIONS[key], value)):
            msg = f"{_OPTIONS[key]} {problem}"
            raise ValueError(msg)
    if abs(priority) > _LARGEST_PRIORITY:
        msg = f"priority {str(priority)[:20]} is beyond {_LARGEST_PRIORITY}"
        raise ValueError(msg)
    if not all(_FIRST <= fields[key] <= _LAST for key in ("c", "r") if key in fields):
        msg = "a time is beyond what datetime can hold"
        raise ValueError(msg)


def _job(job_id: str, queue: str, priority: int, envelope: dict[str, Any]) -> Job:
    fields = _bounded(envelope)
    _require_sound(priority, fields)
    backoff = fields.get("o", DEFAULT_BACKOFF)
    return Job(
        id=job_id,
        task=fields["t"],
        queue=queue,
        priority=priority,
        args=fields.get("a", []),
        kwargs=fields.get("k", {}),
        created=fields["c"] / 1000,
        run_after=fields["r"] / 1000 if "r" in fields else None,
        options=Options(
            max_attempts=fields.get("m", DEFAULT_MAX_ATTEMPTS),
            backoff=tuple(backoff) if isinstance(backoff, list) else backoff,
            timeout=fields.get("x", DEFAULT_TIMEOUT),
            atomic=bool(fields.get("z")),
        ),
        database=fields.get("d", "default"),
        backend=fields.get("b", "default"),
    )
