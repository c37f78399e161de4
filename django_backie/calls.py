"""How a task is called: its signature, and arguments that fit it."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from inspect import Parameter
from typing import Any, NamedTuple

from .core import jsonic
from .core.fair import group_text
from .core.limits import Shared, by_of, slots_text
from .core.unique import Unique
from .exceptions import InvalidArguments, InvalidOption, did_you_mean

Call = tuple[tuple[Any, ...], dict[str, Any]]


def as_call(call: Sequence[Any] | Mapping[str, Any]) -> Call:
    """Return positional and keyword arguments of one item of ``delay_many``.

    Raises:
        InvalidArguments: it is neither a sequence nor a mapping.
    """
    if type(call) is tuple:
        return call, {}
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
    parameters = _plain_parameters(task.func, task.takes_context)
    named = None if parameters is None else parameters.bind(args, kwargs)
    # What does not fit is named by Python itself.
    return _bound_by_python(task, args, kwargs) if named is None else named


def refuse_unknown_names(task: Any, option: str, names: Sequence[str]) -> None:
    """Refuse names that are no parameters of a task.

    Raises:
        InvalidOption: names the first, and the parameter that may have been meant.
    """
    parameters = signature_of(task.func, task.takes_context).parameters
    for name in names:
        if name not in parameters:
            nearest = did_you_mean(name, parameters)
            msg = f"{task.module_path}: {option} names {name!r}, which is no argument of it{nearest}"
            raise InvalidOption(msg)


def refuse_wrong_keys(task: Any) -> None:
    """Refuse a task whose calls could not be compared.

    Raises:
        InvalidOption: names the option.
    """
    if isinstance(task.coalesce, tuple):
        refuse_unknown_names(task, "coalesce", task.coalesce)
    for option in ("concurrency_key", "rate_key"):
        if isinstance(names := by_of(getattr(task, option)), tuple):
            refuse_unknown_names(task, option, names)
    if task.rate_key is not False and task.rate_limit is None:
        msg = f"{task.module_path}: rate_key says of what there is a limit, rate_limit which; set both"
        raise InvalidOption(msg)
    if isinstance(task.fair_by, tuple):
        refuse_unknown_names(task, "fair_by", task.fair_by)
    if task.fair_weight is not None and task.fair_by is False:
        msg = f"{task.module_path}: fair_weight says how many of a group, fair_by of which; set both"
        raise InvalidOption(msg)
    if task.unique is False:
        return
    if isinstance(task.unique.by, tuple):
        refuse_unknown_names(task, "unique", task.unique.by)
    if task.coalesce is not False:
        msg = f"{task.module_path}: unique does within a transaction what coalesce does; set one of them"
        raise InvalidOption(msg)


def lock_of(task: Any, unique: Unique, call: Call, named: Mapping[str, Any]) -> str:
    """Return the key that a call's job has to itself, with its window, as it travels; see ``key_of``.

    Raises:
        UnserializableValue: the key cannot be written as JSON.
    """
    return unique.lock(_digest(*_name_and_value(task, unique.by, call, named)))


def limits_of(task: Any, call: Call, named: Mapping[str, Any]) -> str:
    """Return what a call's job needs to start, as it travels; empty where it needs nothing.

    Raises:
        UnserializableValue: a key cannot be written as JSON.
    """
    found = []
    if task.concurrency is not None or task.concurrency_key is not False:
        digest = limit_digest(task, task.concurrency_key, call, named)
        found.append(slots_text(digest, task.concurrency or 1))
    if task.rate_limit is not None:
        found.append(task.rate_limit.text(limit_digest(task, task.rate_key, call, named)))
    return " ".join(found)


def group_of(task: Any, call: Call, named: Mapping[str, Any]) -> str:
    """Return the group of a call's job, as it travels.

    Tasks that name the same arguments have the same groups: in a queue a tenant has one turn, whatever its jobs do.

    Raises:
        UnserializableValue: the key cannot be written as JSON.
        InvalidOption: ``fair_weight`` returned no weight.
    """
    value = key_of(task, task.fair_by, call, named).partition("\0")[2]
    weight = task.fair_weight(*call[0], **call[1]) if callable(task.fair_weight) else task.fair_weight
    return group_text(_digest("\0", value), 1 if weight is None else weight)


def limit_digest(task: Any, key: Any, call: Call, named: Mapping[str, Any]) -> str:
    """Return the key of a limit, for a call that it is for; without a key the limit is for all calls of its task."""
    if not isinstance(key, Shared):
        return _digest(*_name_and_value(task, by_of(key) or (), call, named))
    if callable(key.by):
        return shared_digest(key.name, key.by(*call[0], **call[1]))
    found = _with_defaults(task, named)
    names: Any = found if key.by is True else key.by
    return shared_digest(key.name, {name: found.get(name) for name in names})


def shared_digest(name: str, value: Any) -> str:
    """Return the key of a limit that tasks share, of those arguments by name that it is made of.

    Raises:
        UnserializableValue: they cannot be written as JSON.
    """
    # No task is called so.
    return _digest(f"\0{name}", jsonic.dumps(value))


def _name_and_value(task: Any, spec: Any, call: Call, named: Mapping[str, Any]) -> tuple[str, str]:
    name, _, value = key_of(task, spec, call, named).partition("\0")
    return name, value


def _digest(name: str, value: str) -> str:
    # Mappings that are equal are so in whatever order.
    canonical = json.dumps(json.loads(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{name}\0{canonical}".encode()).hexdigest()[:32]


def key_of(task: Any, spec: Any, call: Call, named: Mapping[str, Any]) -> str:
    """Return what two calls of a task have in common where they mean the same.

    Args:
        spec: True for all arguments, names of some, or a function that is called with them.
        named: the arguments by name; one that is left to its default is looked up.

    Raises:
        UnserializableValue: the key cannot be written as JSON.
    """
    if callable(spec):
        value = spec(*call[0], **call[1])
    else:
        whole = _with_defaults(task, named)
        value = sorted(whole.items()) if spec is True else [[name, whole.get(name)] for name in spec]
    return f"{task.job_name}\0{jsonic.dumps(value)}"


def _with_defaults(task: Any, named: Mapping[str, Any]) -> dict[str, Any]:
    parameters = signature_of(task.func, task.takes_context).parameters
    whole = {name: found.default for name, found in parameters.items() if found.default is not Parameter.empty}
    return whole | dict(named)


def _bound_by_python(task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
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


class _Parameters(NamedTuple):
    """The parameters of a usual function: each has a name, and none takes several arguments.

    Binds as ``inspect.Signature`` does, whose Python takes longer than all the rest of making a job.
    """

    names: tuple[str, ...]
    positional: tuple[str, ...]
    required: frozenset[str]

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the arguments by name, in the order of the parameters, or None if they do not fit."""
        named = dict(zip(self.positional, args))  # noqa: B905 - strict=False takes as long again as the rest
        if kwargs:
            named |= {name: kwargs[name] for name in self.names[len(args) :] if name in kwargs}
        # Fewer, where an argument is one too many, unknown, or given twice.
        fits = len(named) == len(args) + len(kwargs) and self.required.issubset(named)
        return named if fits else None


@cache
def _plain_parameters(func: Callable[..., Any], takes_context: bool) -> _Parameters | None:
    parameters = signature_of(func, takes_context).parameters.values()
    kinds = {parameter.kind for parameter in parameters}
    if not kinds <= {Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY}:
        return None
    return _Parameters(
        names=tuple(parameter.name for parameter in parameters),
        positional=tuple(p.name for p in parameters if p.kind is Parameter.POSITIONAL_OR_KEYWORD),
        required=frozenset(p.name for p in parameters if p.default is Parameter.empty),
    )
