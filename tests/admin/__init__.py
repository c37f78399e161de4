"""Tests of ``django_backie.admin``."""
