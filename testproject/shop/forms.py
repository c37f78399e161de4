"""The order form."""

from django import forms
from django.utils.translation import gettext_lazy as _

from .models import Order


class OrderForm(forms.ModelForm):
    """Ask what and for whom."""

    class Meta:
        model = Order
        fields = ["sku", "email"]
        widgets = {
            "sku": forms.RadioSelect,
            "email": forms.EmailInput(attrs={"autocomplete": "email", "placeholder": "you@example.org"}),
        }
        error_messages = {"sku": {"required": _("Please choose an article.")}}

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.fields["sku"].choices = Order._meta.get_field("sku").choices
