"""What every worker can do for all: each duty a ``tick()`` that returns the delay until the next."""
