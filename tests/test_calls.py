"""How a task is called: our own binding of arguments answers as Python's does."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_backie.calls import _plain_parameters, as_call, named_arguments, signature_of
from django_backie.exceptions import InvalidArguments

PARAMETERS = [
    "",
    "a",
    "a, b",
    "a, b=2",
    "a=1, b=2",
    "a, *, b",
    "a, *, b=2, c",
    "*, a, b=2",
    "a, /",
    "a, /, b",
    "a, *args",
    "a, **kwargs",
    "a, b=2, *args, c=3, **kwargs",
    "context",
    "context, a, b=2",
    "context, *, a",
]


def task_of(parameters: str) -> Any:
    """Return as much of a task as is needed to call it."""
    function: Callable[..., Any] = eval(f"lambda {parameters}: None")  # noqa: S307 - from the list above
    takes_context = parameters.startswith("context")
    return SimpleNamespace(
        func=function,
        takes_context=takes_context,
        signature=signature_of(function, takes_context),
        job_name="shop.tasks.send",
    )


TASKS = {parameters: task_of(parameters) for parameters in PARAMETERS}

calls = st.tuples(
    st.lists(st.integers(), max_size=4),
    st.dictionaries(st.sampled_from(["a", "b", "c", "context", "args", "other"]), st.integers(), max_size=4),
)


def by_python(task: Any, args: Any, kwargs: Any) -> Any:
    try:
        return list(task.signature.bind(*args, **kwargs).arguments.items())
    except TypeError as error:
        return f"{task.job_name}{task.signature}: {error}"


def by_us(task: Any, args: Any, kwargs: Any) -> Any:
    try:
        return list(named_arguments(task, args, kwargs).items())
    except InvalidArguments as error:
        return str(error)


@pytest.mark.parametrize("parameters", PARAMETERS)
@settings(deadline=None, max_examples=60)
@given(call=calls)
def test_arguments_are_bound_as_python_binds_them_in_its_order_and_with_its_errors(parameters: str, call: Any) -> None:
    assert by_us(TASKS[parameters], *call) == by_python(TASKS[parameters], *call)


def test_a_key_that_is_no_name_does_not_fit() -> None:
    with pytest.raises(InvalidArguments, match=r"shop\.tasks\.send\(a, b=2\): "):
        named_arguments(TASKS["a, b=2"], (), {"a": 1, 2: 3})  # type: ignore[dict-item]


def test_usual_functions_do_without_pythons_binding() -> None:
    spared = [parameters for parameters, task in TASKS.items() if _plain_parameters(task.func, task.takes_context)]

    assert spared == [p for p in PARAMETERS if "/" not in p and "*args" not in p and "**" not in p]


@pytest.mark.parametrize(
    ("item", "call"),
    [
        ((1, 2), ((1, 2), {})),
        ([1], ((1,), {})),
        (range(2), ((0, 1), {})),
        ((), ((), {})),
        ({"a": 1}, ((), {"a": 1})),
    ],
)
def test_an_item_of_delay_many_is_a_sequence_or_a_mapping(item: Any, call: Any) -> None:
    assert as_call(item) == call


def test_the_mapping_of_a_call_is_its_own() -> None:
    item = {"a": 1}

    assert as_call(item)[1] is not item


@pytest.mark.parametrize("item", [1, "ab", b"ab", None, {1, 2}])
def test_anything_else_is_named(item: Any) -> None:
    with pytest.raises(InvalidArguments, match=r"delay_many\(\) takes a tuple of arguments"):
        as_call(item)
