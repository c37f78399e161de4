"""The producer as a program of its own."""

from tasks import EmailTask

if __name__ == "__main__":
    EmailTask().delay("24dkq40", "example@example.org")
