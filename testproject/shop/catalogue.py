"""What the shop sells."""

from dataclasses import dataclass
from decimal import Decimal

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True)
class Product:
    """One article: its stock keeping unit, its name, its price."""

    sku: str
    name: Promise
    price: Decimal
    is_legacy: bool = False  # its stock is kept by a machine that nobody dares to touch

    @property
    def icon(self) -> str:
        """Return the id of the drawing in ``icons.svg``."""
        return self.sku.partition("-")[0].lower()


CATALOGUE = {
    product.sku: product
    for product in (
        Product("RACK-01", _("Rear rack for a backie"), Decimal("49.00")),
        Product("BELL-02", _("Brass bell"), Decimal("14.50")),
        Product("LAMP-07", _("Dynamo lamp"), Decimal("38.00")),
        Product("LOCK-11", _("Chain lock"), Decimal("59.90")),
        Product("PUMP-03", _("Frame pump"), Decimal("21.00")),
        Product("HORN-74", _("Bulb horn, 1974"), Decimal("9.74"), is_legacy=True),
    )
}
