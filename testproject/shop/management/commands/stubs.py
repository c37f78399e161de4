"""Play the world outside: a payment provider and a metric sink over HTTP, a mail server over SMTP."""

import random
import signal
import threading
from argparse import ArgumentParser
from typing import Any

from aiosmtpd.controller import Controller
from django.conf import settings
from django.core.management.base import BaseCommand

from shop.stubs import Arrivals, MailBox, http_server


class Command(BaseCommand):
    """Serve both stubs until SIGINT or SIGTERM."""

    help = "Run the payment provider, the metric sink and the mail server that the shop's jobs talk to."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the ports and how unwell the provider is."""
        parser.add_argument("--port", type=int, default=settings.SHOP_STUB_PORT)
        parser.add_argument("--smtp-port", type=int, default=settings.SHOP_SMTP_PORT)
        parser.add_argument(
            "--failures", type=float, default=0.2, help="share of requests answered with 503 (%(default)s)"
        )

    def handle(self, *, port: int, smtp_port: int, failures: float, **options: Any) -> None:
        """Start both servers, wait for a signal, stop both."""
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        arrivals = Arrivals()
        web = http_server(port, arrivals, is_unwell=lambda: random.random() < failures)
        mail = Controller(MailBox(arrivals), hostname="127.0.0.1", port=smtp_port)
        mail.start()
        threading.Thread(target=web.serve_forever, daemon=True).start()
        self.stdout.write(f"payments, events: http://127.0.0.1:{port}/   mail: smtp://127.0.0.1:{smtp_port}")
        self.stdout.flush()
        stop.wait()
        web.shutdown()
        web.server_close()
        mail.stop()
