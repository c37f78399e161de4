"""The code of the how-to pages, run."""
