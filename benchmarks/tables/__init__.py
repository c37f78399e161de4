"""The tables, in the order in which they are run. A new one is a module with a ``TABLE``, and a word here."""

from . import drain, enqueue, fairness, growth, kill, latency, memory, mirror, start, steps, waits
from .base import Table

MODULES = (enqueue, drain, steps, waits, latency, start, memory, kill, mirror, growth, fairness)
TABLES: dict[str, Table] = {module.TABLE.name: module.TABLE for module in MODULES}
