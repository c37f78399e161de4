"""Proofs that take too long for every commit: ``python -m tests.soak``."""
