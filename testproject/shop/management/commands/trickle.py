"""Place an order every few seconds, as customers do."""

import itertools
import random
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from shop.catalogue import CATALOGUE
from shop.services import place_order

NAMES = ["ada", "bram", "chidi", "dunya", "emre", "femke", "grace", "hana", "ines", "joris", "kwame", "lotte"]


class ChangedTheirMind(Exception):
    """The customer left before the transaction was committed."""


class Command(BaseCommand):
    """Place orders through the same function as the shop's page."""

    help = "Place an order every few seconds; some of them are rolled back, and leave no job behind."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare pace, number and share of the rolled back."""
        parser.add_argument("--every", type=float, default=3.0, help="seconds between two orders (%(default)s)")
        parser.add_argument("--count", type=int, help="stop after this many orders (default: never)")
        parser.add_argument(
            "--rollback-every",
            type=int,
            default=10,
            metavar="N",
            help="roll back each N-th order (%(default)s)",
        )

    def handle(self, *, every: float, count: int | None, rollback_every: int, **options: Any) -> None:
        """Place the orders."""
        rolled_back = 0
        numbers = itertools.count(1) if count is None else range(1, count + 1)
        for number in numbers:
            rolled_back += not self.place(commit=not rollback_every or number % rollback_every != 0)
            time.sleep(every)
        self.stdout.write(f"{(count or 0) - rolled_back} orders committed, {rolled_back} rolled back")

    def place(self, *, commit: bool) -> bool:
        """Place one order and return whether it was committed."""
        email = f"{random.choice(NAMES)}{random.randrange(100)}@example.org"
        try:
            with transaction.atomic():
                order = place_order(email, random.choice(list(CATALOGUE)))
                if not commit:
                    raise ChangedTheirMind
        except ChangedTheirMind:
            self.tell(f"{order.number} rolled back: {email} changed their mind")
            return False
        self.tell(f"{order.number} placed by {email}: {order.product.name}")
        return True

    def tell(self, line: str) -> None:
        """Write a line at once: the output is read while the command runs."""
        self.stdout.write(line)
        self.stdout.flush()
