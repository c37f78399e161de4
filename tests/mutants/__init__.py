"""Mistakes put into the broker's scripts on purpose: the tests must notice every one (``python -m tests.mutants``)."""
