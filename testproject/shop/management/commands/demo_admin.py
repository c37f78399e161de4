"""Let somebody into the admin of the demo."""

import os
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    """Make the user ``admin``, or give it back the password that the demo prints."""

    help = "Make the superuser 'admin' with the password of the environment variable SHOP_ADMIN_PASSWORD."

    def handle(self, **options: Any) -> None:
        """Make the user, or repair its password; an unchanged password keeps its sessions."""
        password = os.environ.get("SHOP_ADMIN_PASSWORD")
        if not password:
            raise CommandError("SHOP_ADMIN_PASSWORD is not set.")
        user, _ = get_user_model().objects.get_or_create(
            username="admin",
            defaults={"is_staff": True, "is_superuser": True, "email": "admin@backie.example"},
        )
        if not user.check_password(password):
            user.set_password(password)
            user.save()
