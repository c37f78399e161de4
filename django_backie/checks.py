"""What is wrong with this configuration, for ``manage.py check``."""

from __future__ import annotations
