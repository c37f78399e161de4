"""A small shop for bicycle bits, whose orders are followed by jobs."""
