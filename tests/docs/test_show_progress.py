"""The page about progress says what happens."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.template import Context, Template

from tests.helpers import drain, mirror

from .pages import DOCS, load

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


def test_the_tasks_show_how_far_they_are(backend: Any) -> None:
    page = load("how-to/show-progress")
    exported, indexed = page.export.delay([1, 20, 300]), page.index.delay(["a", "bc"])
    assert page.percent_of(exported.id) is None
    drain(backend)
    mirror(backend)

    assert page.percent_of(exported.id) == 100
    indexed.refresh()
    assert (indexed.progress.done, indexed.progress.message, indexed.return_value) == (2, "Indexing", 3)
    exported.refresh()
    assert (exported.progress.message, exported.return_value) == ("Writing the orders", 9)


def test_the_addresses_of_the_page_serve_its_template(backend: Any, settings: Any, client: Any) -> None:
    page = load("how-to/show-progress")
    settings.ROOT_URLCONF = page.__name__
    found = re.search(r"```html\n(.*?)```", (DOCS / "how-to/show-progress.md").read_text(), re.DOTALL)
    assert found is not None
    html = Template(found[1]).render(Context({"result": page.export.delay([1])}))
    address = re.search(r'src="(/jobs/[^"]+)"', html)

    assert 'aria-label="Your export"' in html
    assert address is not None
    assert client.get(address[1]).json()["state_text"] == "waiting"
