"""The parts of ``manage.py stubs``: what arrives is counted, so that it can be compared with the orders."""

import json
import threading
from collections import Counter, deque
from collections.abc import Callable
from email import message_from_bytes
from email.policy import default as modern_policy
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Arrivals:
    """How often each order has arrived where. ``GET /`` shows it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = {kind: Counter[str]() for kind in ("payments", "events", "mails", "reviews")}
        self._mails: deque[str] = deque(maxlen=50)

    def note(self, kind: str, order: str) -> None:
        """Count one arrival."""
        with self._lock:
            self._counts[kind][order] += 1

    def keep_mail(self, text: str) -> None:
        """Keep a mail for ``GET /mails``."""
        with self._lock:
            self._mails.append(text)

    def as_json(self) -> bytes:
        """Return all counts, by kind and order."""
        with self._lock:
            return json.dumps(self._counts, indent=1).encode()

    def mails(self) -> bytes:
        """Return the latest mails, newest first."""
        with self._lock:
            return "\n\n————\n\n".join(reversed(self._mails)).encode()


class MailBox:
    """Take every mail. The name of the method is aiosmtpd's."""

    def __init__(self, arrivals: Arrivals) -> None:
        self.arrivals = arrivals

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """Count the mail for its order."""
        message = message_from_bytes(envelope.content, policy=modern_policy)
        self.arrivals.note("reviews" if message["X-Step"] == "review" else "mails", str(message["X-Order"]))
        text = str(message.get_content()).strip()
        self.arrivals.keep_mail(f"To: {message['To']}\nSubject: {message['Subject']}\n\n{text}")
        return "250 OK"


class StubServer(ThreadingHTTPServer):
    """Let a burst of callers wait instead of refusing the sixth."""

    request_queue_size = 128


def http_server(port: int, arrivals: Arrivals, is_unwell: Callable[[], bool]) -> ThreadingHTTPServer:
    """Return a server for ``POST /payments``, ``POST /events``, ``GET /`` and ``GET /mails``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/mails":
                self._answer(HTTPStatus.OK, arrivals.mails(), "text/plain; charset=utf-8")
            else:
                self._answer(HTTPStatus.OK, arrivals.as_json())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kind = self.path.strip("/")
            if kind not in {"payments", "events"}:
                self._answer(HTTPStatus.NOT_FOUND, b"{}")
            elif is_unwell():
                self._answer(HTTPStatus.SERVICE_UNAVAILABLE, b'{"error": "try again later"}')
            else:
                order = json.loads(body)["order"]
                arrivals.note(kind, order)
                self._answer(HTTPStatus.CREATED, json.dumps({"reference": f"pay_{order.lower()}"}).encode())

        def _answer(self, status: HTTPStatus, body: bytes, content_type: str = "application/json") -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Say nothing: the worker tells how its calls went."""

    return StubServer(("127.0.0.1", port), Handler)
