from django.db import migrations, models
from django.db.migrations.operations.base import Operation

LISTS: dict[str, list[str]] = {
    "backie_job_enqueued": [],
    "backie_job_state": ["state"],
    "backie_job_queue": ["queue"],
    "backie_job_task": ["task"],
}
TROUBLED = ("BLOCKED", "CANCELLED", "FAILED", "RETRYABLE")


def replaced(name: str, fields: list[str]) -> list[Operation]:
    """Return the operations that make an index anew, ascending."""
    index = models.Index(fields=[*fields, "enqueued_at", "id"], name=name)
    return [migrations.RemoveIndex(model_name="job", name=name), migrations.AddIndex(model_name="job", index=index)]


def troubled(field: str) -> Operation:
    """Return the operation that adds an index over the few jobs that are not on the straight way."""
    index = models.Index(
        fields=[field, "state", "enqueued_at", "id"],
        name=f"backie_job_{field}_troubled",
        condition=models.Q(state__in=TROUBLED),
    )
    return migrations.AddIndex(model_name="job", index=index)


class Migration(migrations.Migration):
    dependencies = [("django_backie", "0002_job_settled")]

    operations = [
        *(operation for name, fields in LISTS.items() for operation in replaced(name, fields)),
        troubled("queue"),
        troubled("task"),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(fields=["finished_at"], name="backie_job_settled", condition=models.Q(settled=True)),
        ),
    ]
