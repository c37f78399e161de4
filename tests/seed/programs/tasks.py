"""The e-commerce task: tell a mail provider over HTTP; run as a program, it is the producer."""

import os
import urllib.request

import project  # noqa: F401

from django_backie import BaseTask


class EmailTask(BaseTask):
    """Send a confirmation through the provider."""

    task_name = "EmailTask"

    def run(self, order_id, email_address):
        """Call the provider's URL, made of order and address."""
        url = f"{os.environ['PROVIDER']}/{order_id}/{email_address}"
        with urllib.request.urlopen(url, timeout=5.0) as response:  # noqa: S310
            print("response:", response.status)  # noqa: T201


if __name__ == "__main__":
    email_task = EmailTask()
    email_task.delay("24dkq40", "example@example.org")
