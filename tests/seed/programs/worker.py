"""The worker: one task, in the foreground."""

from tasks import EmailTask

from django_backie import Worker

if __name__ == "__main__":
    worker = Worker(task=EmailTask())
    worker.start()
