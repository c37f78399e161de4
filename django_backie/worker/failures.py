"""Exceptions as text that may be kept: cleansed, bounded, and such as every database takes."""

from __future__ import annotations

import contextlib
import traceback
from typing import Any

from .. import cleansing
from ..base_backend import sensitive_of
from ..calls import named_arguments
from ..conf import Config
from ..core.job import Job
from ..core.options import path_of
from ..core.outcome import Failure
from ..exceptions import InvalidArguments, TaskTimeout
from ..task_definition import Task

LONGEST_TRACEBACK = 16 * 1024
LONGEST_MESSAGE = 500


def failure_of(
    task: Task[..., Any], job: Job, config: Config, error: BaseException, kind: type[BaseException] | None = None
) -> Failure:
    """Return an exception as text, without the secrets among the job's arguments; ``kind`` replaces its class."""
    kind = kind or type(error)
    secrets = _secrets(task, job, config)
    if secrets:
        mark_secret(error)
    message = f"ran longer than {job.options.timeout} s" if kind is TaskTimeout else _text(error)
    lines = cleansing.scrub("".join(traceback.format_exception(error)), secrets)
    if len(lines) > LONGEST_TRACEBACK:
        lines = f"{lines[:2000]}\n[...]\n{lines[-LONGEST_TRACEBACK + 2010 :]}"
    text = cleansing.scrub(message, secrets)[:LONGEST_MESSAGE]
    return Failure(path_of(kind), storable(text), storable(lines), kinds_of(kind))


def kinds_of(kind: type[BaseException]) -> tuple[str, ...]:
    """Return the paths of a class of exceptions and of its bases, its own first."""
    return tuple(map(path_of, kind.__mro__[: kind.__mro__.index(BaseException)]))


def reason_of(task: Task[..., Any], job: Job, config: Config, error: BaseException) -> str:
    """Return what an exception says as text that people may read, without the secrets among the job's arguments."""
    secrets = _secrets(task, job, config)
    if secrets:
        mark_secret(error)
    return storable(cleansing.scrub(_text(error), secrets))


def mark_secret(error: BaseException) -> None:
    """Note that an exception may tell secrets: what Django logs of it goes without its traceback."""
    with contextlib.suppress(AttributeError):
        error._django_backie_secrets = True  # type: ignore[attr-defined]


def may_tell_secrets(error: BaseException | None) -> bool:
    """Tell whether an exception was raised by a job with secrets among its arguments."""
    return getattr(error, "_django_backie_secrets", False)


def _secrets(task: Task[..., Any], job: Job, config: Config) -> list[str]:
    try:
        named = named_arguments(task, job.args, job.kwargs)
    except InvalidArguments:
        named = job.kwargs
    return cleansing.secrets_in(named, sensitive_of(task, config))


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as second:  # noqa: BLE001 - an exception whose __str__ raises
        return f"<{type(error).__name__} whose text cannot be shown: {type(second).__name__}>"


def storable(text: str) -> str:
    """Return a text that Redis and every database take."""
    return text.replace("\x00", "\N{SYMBOL FOR NULL}").encode(errors="backslashreplace").decode()
