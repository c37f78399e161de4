"""After every test of the broker: each key is a documented one, and none vanishes by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from django_backie.broker import keys
from django_backie.broker.redis import RedisBroker


def documented_names() -> list[str]:
    """Return the key names in the table of ``keys.py``, as regular expressions."""
    rows = [line[:22] for line in (keys.__doc__ or "").splitlines() if line.startswith("``")]
    names = re.findall(r"``([^`]+)``", "\n".join(rows))
    return [re.sub(r"<\w+>", ".+", name) for name in names]


@pytest.fixture(autouse=True)
def only_documented_keys(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail where a test leaves a key behind that ``keys.py`` does not name, or one with an expiry."""
    broker: RedisBroker | None = request.getfixturevalue("broker") if "broker" in request.fixturenames else None
    yield
    if broker is None:
        return
    pattern = re.compile("|".join(documented_names()))
    for key in broker.client.scan_iter(f"{broker.config.namespace}:*", count=1000):
        assert key.startswith(broker.keys.prefix)
        assert pattern.fullmatch(key.removeprefix(broker.keys.prefix)), f"{key} is not documented in keys.py"
        assert broker.client.ttl(key) == -1, f"{key} expires: no correctness may rest on that"
