"""Load the code of a page as a module."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def load(page: str, **names: Any) -> ModuleType:
    """Run all Python blocks of a page, one after the other, and return the module that they make.

    The names are what the page takes for granted: a model, a client of some service. Where a block fails, the traceback
    tells the line of the page.
    """
    path = DOCS / f"{page}.md"
    text = path.read_text()
    module = ModuleType(f"docs_{path.stem.replace('-', '_')}")
    sys.modules[module.__name__] = module
    module.__dict__.update(names)
    for block in _BLOCK.finditer(text):
        lines_before = text.count("\n", 0, block.start(1))
        exec(compile("\n" * lines_before + block.group(1), str(path), "exec"), module.__dict__)  # noqa: S102
    return module
