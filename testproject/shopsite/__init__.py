"""The project around the shop."""
