"""A bar on a page of the user: escaped, of use without scripts, and asked for by a handle that nobody can make."""

from __future__ import annotations

import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core import signing
from django.template import Context, Template
from django.test import Client
from django.utils import translation

import django_backie
from django_backie.broker.sent import Shown
from django_backie.core.progress import Number, reported
from django_backie.core.states import State
from django_backie.exceptions import BrokerUnavailable, ConfigurationError, InvalidArguments
from django_backie.progress_page import LONGEST, SALT, handle_of
from tests.app.progressing import falter, halfway, walk
from tests.helpers import drain, lease, mirror

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

STATIC = Path(django_backie.__file__).parent / "static" / "django_backie"


def rendered(result: Any, label: str = "", **context: Any) -> str:
    template = Template("{% load backie %}{% backie_progress result label=label %}")
    return template.render(Context({"result": result, "label": label, **context}))


def bar_of(html: str) -> dict[str, str]:
    """Return the attributes of the bar."""
    found = re.search(r"<progress ([^>]*)>", html)
    assert found is not None
    return dict(re.findall(r'([\w-]+)="([^"]*)"', found[1]))


def address(html: str) -> str:
    found = re.search(r'<backie-progress [^>]*src="([^"]+)"', html)
    assert found is not None
    return found[1]


def running(backend: Any, done: Number = 1, total: Number | None = 2, message: str = "") -> Any:
    """Return the handle of a job that runs, and has shown how far it is."""
    result = halfway.delay()
    (held,) = lease(backend, "w")
    progress = reported(done, total, message, time.time()).text()
    assert backend.broker.show([Shown("w", held.id, held.token, progress)]) == [True]
    result.refresh()
    return result


def test_a_waiting_job_has_a_bar_without_a_value(backend: Any) -> None:
    html = rendered(halfway.delay())

    assert "value" not in bar_of(html)
    assert "aria-valuenow" not in bar_of(html)
    assert ">waiting<" in html


def test_a_running_job_has_a_bar_with_its_value_for_everybody(backend: Any) -> None:
    html = rendered(running(backend, 21, 50, "Rendering"), label="Your export")

    assert bar_of(html) == {
        "role": "progressbar",
        "max": "100",
        "aria-label": "Your export",
        "aria-valuemin": "0",
        "aria-valuemax": "100",
        "value": "42",
        "aria-valuenow": "42",
        "aria-valuetext": "42%",
    }
    assert ">running<" in html
    assert ">42%<" in html
    assert ">Rendering<" in html


def test_without_a_total_it_says_how_many(backend: Any) -> None:
    html = rendered(running(backend, 1234, None))

    assert "value" not in bar_of(html)
    assert bar_of(html)["aria-valuetext"] == "1234 done"


def test_a_job_that_succeeded_has_a_full_bar_and_no_script(backend: Any) -> None:
    result = walk.delay(3)
    drain(backend)
    result.refresh()
    html = rendered(result)

    assert bar_of(html)["value"] == "100"
    assert " ended>" in html
    assert "<script" not in html


def test_the_bar_of_a_failed_job_stands_where_it_was(backend: Any) -> None:
    result = falter.using(max_attempts=1).delay()
    drain(backend)
    result.refresh()

    assert bar_of(rendered(result))["value"] == "0"
    assert ">failed<" in rendered(result)


def test_every_text_is_escaped(backend: Any) -> None:
    html = rendered(running(backend, message="<script>alert(1)</script>"), label='"><b>')

    assert "<b>" not in html
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_there_is_no_inline_script_or_style_and_a_nonce_where_the_page_has_one(backend: Any) -> None:
    html = rendered(running(backend), csp_nonce="abc")

    assert re.findall(r"<script[^>]*>", html) == [
        '<script type="module" src="/static/django_backie/progress.js" nonce="abc">'
    ]
    assert "></script>" in html
    assert not re.search(r"\s(style|on\w+)=", html)
    assert "nonce" not in rendered(running(backend))


def test_the_address_tells_how_far_the_job_is_to_whoever_has_it(backend: Any, client: Client) -> None:
    result = running(backend, 1, 4, "<b>")
    response = client.get(address(rendered(result)))

    assert response.json() == {
        "state": "RUNNING",
        "is_final": False,
        "value": 25,
        "state_text": "running",
        "amount": "25%",
        "message": "<b>",
    }
    assert response["Content-Type"] == "application/json"
    assert "no-store" in response["Cache-Control"]


def test_the_address_tells_the_end_from_the_row(backend: Any, client: Client) -> None:
    result = walk.delay(3)
    url = address(rendered(result))
    drain(backend)
    mirror(backend)

    assert client.get(url).json() == {
        "state": "SUCCESSFUL",
        "is_final": True,
        "value": 100,
        "state_text": "succeeded",
        "amount": "",
        "message": "",
    }


def test_the_words_are_those_of_the_reader(backend: Any, client: Client) -> None:
    with translation.override("de"):
        html = rendered(running(backend))

    assert ">läuft<" in html
    assert bar_of(html)["aria-label"] == "Fortschritt"


@pytest.mark.parametrize(
    "handle",
    [
        "x",
        "a:b:c",
        signing.dumps(["default", "x"], salt="another"),
        signing.dumps(["default", "01a20750-6390-7100-9cbe-1d623c06376c"], salt=SALT),
        signing.dumps(["nobody", "01a20750-6390-7100-9cbe-1d623c06376c"], salt=SALT),
        signing.dumps(["default", "no id"], salt=SALT),
    ],
    ids=["short", "form", "salt", "job", "alias", "id"],
)
def test_a_handle_of_nothing_leads_nowhere(backend: Any, client: Client, handle: str) -> None:
    assert client.get(f"/jobs/progress/{handle}/").status_code == 404


def test_a_handle_that_was_changed_leads_nowhere(backend: Any, client: Client) -> None:
    mine, other = handle_of(halfway.delay()), handle_of(halfway.delay())
    forged = ":".join([other.split(":")[0], *mine.split(":")[1:]])

    assert client.get(f"/jobs/progress/{mine}/").status_code == 200
    assert client.get(f"/jobs/progress/{forged}/").status_code == 404


def test_a_handle_expires(backend: Any, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    handle = handle_of(halfway.delay())
    now = time.time()
    monkeypatch.setattr(signing, "time", SimpleNamespace(time=lambda: now + LONGEST.total_seconds() + 5))

    assert client.get(f"/jobs/progress/{handle}/").status_code == 404


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_it_can_only_be_read(backend: Any, client: Client, method: str) -> None:
    url = address(rendered(halfway.delay()))

    assert getattr(client, method)(url).status_code == 405


def test_while_redis_is_away_a_job_without_a_row_is_to_be_asked_for_later(
    backend: Any, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise BrokerUnavailable("gone")

    url = address(rendered(halfway.delay()))
    monkeypatch.setattr("django_backie.progress_page.compat.get_backend", refuse)

    assert client.get(url).status_code == 503


def test_without_its_address_the_tag_says_what_to_add(backend: Any, settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.enqueue_urls"

    with pytest.raises(ConfigurationError, match=r'add|include\("django_backie.urls"\)'):
        rendered(halfway.delay())


def test_the_tag_takes_handles_only() -> None:
    with pytest.raises(InvalidArguments, match="not 'an id'"):
        rendered("an id")


def test_the_script_needs_no_library_no_markup_and_no_evaluation() -> None:
    script = (STATIC / "progress.js").read_text()

    assert len(script) < 3000
    assert not re.search(r"innerHTML|insertAdjacent|eval\(|Function\(|document\.write|import ", script)


def test_states_of_waiting_are_one_word(backend: Any) -> None:
    result = falter.using(backoff=[60.0]).delay()
    drain(backend)
    result.refresh()

    assert result.state is State.RETRYABLE
    assert ">waiting<" in rendered(result)
