"""Job <-> body: versioned, signed text that Redis and the job table keep as it is.

A body is five lines: version, queue, priority, signature, envelope. The first three stand outside the envelope so that
a script can put a job back in its place without reading JSON. Letters behind the version say what a script has to read
of the envelope all the same. The signature (HMAC-SHA256, 128 bits kept; RFC 2104) covers the id and all other lines, so
a body cannot be moved to another id, queue or priority.
"""

from __future__ import annotations

import json
import re
from string import ascii_lowercase
from types import NoneType
from typing import Any

from ..exceptions import NewerBody, PayloadTooLarge, UnreadableBody, UnserializableValue
from . import jsonic
from .head import lines
from .job import Job, Packed
from .options import (
    DEFAULT_BACKOFF,
    DEFAULT_MAX_ATTEMPTS,
    DEFAULT_OPTIONS,
    DEFAULT_TIMEOUT,
    LONGEST,
    OF_THE_TASK,
    Options,
    is_number,
    option_problem,
)
from .signer import Signer

VERSION = "1"
LONGEST_BODY = 16 * 1024 * 1024


def pack(job: Job, signer: Signer, limit: int) -> Packed:
    """Return a job as the broker takes it.

    Raises:
        UnserializableValue: an argument cannot be written as JSON; names which and where.
        PayloadTooLarge: the arguments exceed ``limit`` bytes.
    """
    envelope = _envelope_text(job, limit)
    version = VERSION
    if job.limits or job.group or job.ageing:
        # What a script has to read of the envelope.
        version += "f" * bool(job.group) + "l" * bool(job.limits) + "p" * bool(job.ageing)
    signature = signer.sign(_signed(job.id, job.queue, job.priority, envelope, version))
    body = f"{version}\n{job.queue}\n{job.priority}\n{signature}\n{envelope}"
    return Packed(job.id, job.queue, job.priority, body, job.run_after, job.unique)


def unpack(job_id: str, body: str, signer: Signer) -> Job:
    """Return the job of a body.

    Raises:
        NewerBody: a newer release wrote it.
        UnreadableBody: too long, not of this version, not signed by any of our keys, or not an envelope.
    """
    if len(body) > LONGEST_BODY:
        msg = f"the body has {len(body)} characters, more than {LONGEST_BODY}"
        raise UnreadableBody(msg)
    version, queue, priority, signature, envelope = lines(body)
    if version != VERSION and not _VERSIONS.fullmatch(version):
        raise _other_version(version)
    if not signer.accepts(_signed(job_id, queue, priority, envelope, version), signature):
        msg = "the signature does not match: the body was written with another SECRET_KEY, or altered"
        raise UnreadableBody(msg)
    try:
        # The envelope is one level around the arguments.
        return _job(job_id, queue, int(priority), jsonic.loads(envelope, jsonic.MAX_DEPTH + 1))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        msg = f"the envelope cannot be read: {error!r}"
        raise UnreadableBody(msg) from error


def readdressed(job_id: str, body: str, queue: str, signer: Signer, ageing: int = 0) -> str:
    """Return a body for another queue, signed anew; the rest stays, also what only a later release understands.

    ``ageing``: how many places a priority is worth in that queue; 0: priorities are exact.

    Raises:
        UnreadableBody: as ``unpack``.
    """
    unpack(job_id, body, signer)
    version, _, priority, _, envelope = lines(body)
    version, envelope = version.replace("p", ""), _AGEING.sub(r"\1", envelope, count=1)
    if ageing and int(priority):
        version, envelope = f"{version}p", _AGEING.sub(rf'\1"p":{ageing},', envelope, count=1)
    signature = signer.sign(_signed(job_id, queue, priority, envelope, version))
    return f"{version}\n{queue}\n{priority}\n{signature}\n{envelope}"


def _other_version(version: str) -> UnreadableBody:
    number = version.rstrip(ascii_lowercase)
    if number.isdecimal() and (int(number[:9]) > int(VERSION) or (number == VERSION and len(version) < 27)):
        return NewerBody(f"the body has version {version[:20]!r}, this release reads up to {VERSION!r}")
    return UnreadableBody(f"the body has version {version[:20]!r}, this release reads {VERSION!r}")


def _signed(job_id: str, queue: str, priority: int | str, envelope: str, version: str = VERSION) -> bytes:
    return f"{version}\n{job_id}\n{queue}\n{priority}\n{envelope}".encode(errors="surrogatepass")


def _envelope_text(job: Job, limit: int) -> str:
    arguments = _arguments_text(job)
    if (size := _size(arguments)) > limit:
        msg = f"the arguments of {job.task} take {size} bytes, more than the {limit} of MAX_PAYLOAD; pass a reference"
        raise PayloadTooLarge(msg)
    # First, where the scripts find them.
    if job.ageing:
        arguments = f'"p":{job.ageing},{arguments}'
    if job.group:
        arguments = f'"i":{_ENCODER.encode(job.group)},{arguments}'
    if job.limits:
        arguments = f'"l":{_ENCODER.encode(job.limits)},{arguments}'
    if job.unique:
        arguments = f'"u":{_ENCODER.encode(job.unique)},{arguments}'
    return f'{{{arguments},"c":{round(job.created * 1000)}{_rest(job)}'


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


def _arguments_text(job: Job) -> str:
    text = f'"t":{_ENCODER.encode(job.task)}'
    if job.args:
        text += f',"a":{_argument_text(job.task, "args", job.args)}'
    if job.kwargs:
        text += f',"k":{_argument_text(job.task, "kwargs", job.kwargs)}'
    return text


def _argument_text(task: str, name: str, value: Any) -> str:
    try:
        return jsonic.dumps(value)
    except UnserializableValue as error:
        msg = f"{name} of {task}: {error}"
        raise UnserializableValue(msg) from error.__cause__


def _rest(job: Job) -> str:
    """Return what follows the time of making: what equals the default of this version is left out."""
    fields: dict[str, Any] = {}
    if job.run_after is not None:
        fields["r"] = round(job.run_after * 1000)
    if job.options is not DEFAULT_OPTIONS:
        fields |= _sparse(job.options)
    if job.expires is not None:
        fields["e"] = round(job.expires * 1000)
    if job.database != "default":
        fields["d"] = job.database
    if job.backend != "default":
        fields["b"] = job.backend
    return f",{_ENCODER.encode(fields)[1:]}" if fields else "}"


def _sparse(options: Options) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if options.max_attempts != DEFAULT_MAX_ATTEMPTS:
        fields["m"] = options.max_attempts
    if options.backoff != DEFAULT_BACKOFF:
        fields["o"] = options.backoff
    if options.timeout != DEFAULT_TIMEOUT:
        fields["x"] = options.timeout
    if options.hard_timeout is not None:
        fields["h"] = options.hard_timeout
    if options.atomic:
        fields["z"] = 1
    if options.retry_for:
        fields["f"] = options.retry_for
    if options.discard_for:
        fields["g"] = options.discard_for
    for key, name in _HOOKS.items():
        if hook := getattr(options, name):
            fields[key] = hook
    return fields


# json.dumps() would make one for every job.
_ENCODER = json.JSONEncoder(separators=(",", ":"))
# What this release reads. The letters of a later one say that it does.
_VERSIONS = re.compile(f"{VERSION}[flp]*")
# What a priority is worth, behind what stands before it.
_AGEING = re.compile(r'^(\{(?:"[uli]":"[^"]*",)*)(?:"p":\d+,)?')

# Exact types: a bool is no number. What is not here is a later release's and means nothing to this one.
_TYPES: dict[str, tuple[type, ...]] = {
    "t": (str,),
    "a": (list,),
    "k": (dict,),
    "c": (int,),
    "r": (int,),
    "m": (int,),
    "o": (int, float, list, str),
    "x": (int, float, NoneType),
    "h": (int, float),
    "z": (int,),
    "f": (list,),
    "s": (str,),
    "w": (str,),
    "y": (str,),
    "g": (list,),
    "e": (int,),
    "d": (str,),
    "b": (str,),
    "u": (str,),
    "l": (str,),
    "i": (str,),
    "p": (int,),
}
_OPTIONS = {"m": "max_attempts", "o": "backoff", "x": "timeout", "h": "hard_timeout"}
_HOOKS = {"s": "on_success", "w": "on_failure", "y": "on_exhausted"}
_CLASSES = {"f": "retry_for", "g": "discard_for"}
_OPTIONAL = frozenset({*_OPTIONS, *_CLASSES, *_HOOKS, "z"})
# What datetime can hold, in milliseconds: the years 1 to 9999.
_FIRST, _LAST = -62_135_596_800_000, 253_402_300_799_999
_LARGEST_PRIORITY = 100


def _job(job_id: str, queue: str, priority: int, fields: dict[str, Any]) -> Job:
    _require_kinds(fields)
    created, due, expires = fields["c"], fields.get("r"), fields.get("e")
    _require_bounds(priority, created, due, expires)
    return Job(
        job_id,
        fields["t"],
        queue,
        priority,
        fields.get("a", []),
        fields.get("k", {}),
        created / 1000,
        None if due is None else due / 1000,
        DEFAULT_OPTIONS if _OPTIONAL.isdisjoint(fields) else _options(fields),
        fields.get("d", "default"),
        fields.get("b", "default"),
        None if expires is None else expires / 1000,
        fields.get("u", ""),
        fields.get("l", ""),
        fields.get("i", ""),
        fields.get("p", 0),
    )


def _require_kinds(fields: dict[str, Any]) -> None:
    """Refuse what none of our callers can have meant: a job that is run, or mirrored, has fields of the right kind."""
    for key, value in fields.items():
        kinds = _TYPES.get(key)
        if kinds is not None and type(value) not in kinds:
            msg = f"field {key!r} is {type(value).__name__}"
            raise ValueError(msg)


def _require_bounds(priority: int, created: int, due: int | None, expires: int | None) -> None:
    if abs(priority) > _LARGEST_PRIORITY:
        msg = f"priority {str(priority)[:20]} is beyond {_LARGEST_PRIORITY}"
        raise ValueError(msg)
    is_known = _FIRST <= created <= _LAST and (due is None or _FIRST <= due <= _LAST)
    if not is_known or not (expires is None or _FIRST <= expires <= _LAST):
        msg = "a time is beyond what datetime can hold"
        raise ValueError(msg)


def _options(fields: dict[str, Any]) -> Options:
    found = {name: fields[key] for key, name in _OPTIONS.items() if key in fields}
    for name in found.keys() & {"backoff", "timeout", "hard_timeout"}:
        # An earlier release took longer ones, and signed them.
        found[name] = _at_most_longest(found[name])
    classes: dict[str, Any] = {name: _paths(key, fields[key]) for key, name in _CLASSES.items() if key in fields}
    for name, value in found.items():
        if name == "backoff" and value == OF_THE_TASK:
            continue
        if value is not None and (problem := option_problem(name, value)):
            msg = f"{name} {problem}"
            raise ValueError(msg)
    if isinstance(found.get("backoff"), list):
        found["backoff"] = tuple(found["backoff"])
    hooks = {name: fields[key] for key, name in _HOOKS.items() if key in fields}
    return Options(**{**found, **classes, **hooks}, atomic=bool(fields.get("z")))


def _paths(key: str, value: list[Any]) -> tuple[str, ...]:
    if not all(isinstance(path, str) for path in value):
        msg = f"field {key!r} holds more than names"
        raise ValueError(msg)
    return tuple(value)


def _at_most_longest(value: Any) -> Any:
    if type(value) is list:
        return [_at_most_longest(item) for item in value]
    return min(value, LONGEST) if is_number(value) else value
