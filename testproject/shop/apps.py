"""The shop as a Django app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ShopConfig(AppConfig):
    """Name the shop."""

    name = "shop"
    verbose_name = _("Shop")
