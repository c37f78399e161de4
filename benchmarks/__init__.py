"""Our figures beside those of other job systems: ``python3 dev.py bench``.

``__main__`` reads the command line, ``runner`` goes through the rounds, ``tables`` say what is measured, ``stage``
gives each measurement an empty server and a worker, and ``peers`` hold what is particular to each system. ``inside`` is
the one program that runs in the systems' own environments. ``report`` turns the samples into tables.
"""
