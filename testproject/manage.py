#!/usr/bin/env python
"""Run Django's commands for the shop."""

import os
import sys
from pathlib import Path

from django.core.management import execute_from_command_line

# The shop also runs from a clone in which nothing but Django and redis is installed.
sys.path.append(str(Path(__file__).resolve().parent.parent))

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shopsite.settings")
    execute_from_command_line(sys.argv)
