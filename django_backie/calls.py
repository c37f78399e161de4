"""How a task is called: its signature, and arguments that fit it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from .exceptions import InvalidArguments

Call = tuple[tuple[Any, ...], dict[str, Any]]


def as_call(call: Sequence[Any] | Mapping[str, Any]) -> Call:
    """Return positional and keyword arguments of one item of ``delay_many``.

    Raises:
        InvalidArguments: it is neither a sequence nor a mapping.
    """
    if isinstance(call, Mapping):
        return (), dict(call)
    if isinstance(call, str | bytes) or not isinstance(call, Sequence):
        msg = f"delay_many() takes a tuple of arguments (or a mapping) for each job, not {call!r}"
        raise InvalidArguments(msg)
    return tuple(call), {}


def named_arguments(task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call by name.

    Raises:
        InvalidArguments: they do not fit; names the task and its signature.
    """
    signature = task.signature
    try:
        arguments: dict[str, Any] = signature.bind(*args, **kwargs).arguments
    except TypeError as error:
        msg = f"{task.job_name}{signature}: {error}"
        raise InvalidArguments(msg) from None
    return arguments


@cache
def signature_of(func: Callable[..., Any], takes_context: bool) -> inspect.Signature:
    """Return the signature that a caller must fit: without the context."""
    signature = inspect.signature(func)
    if takes_context:
        return signature.replace(parameters=list(signature.parameters.values())[1:])
    return signature
