"""Run jobs: a parent that watches (supervisor), children that lease and run (worker), pools where attempts run."""
