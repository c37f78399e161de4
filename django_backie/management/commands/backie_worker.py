"""The same as ``runworker``, under a name that django-channels does not use."""

from .runworker import Command

__all__ = ["Command"]
