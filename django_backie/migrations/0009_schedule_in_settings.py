from typing import Any

from django.db import migrations, models


def remove_rows(apps: Any, schema_editor: Any) -> None:
    """Remove what the former table has no place for: it would take schedules of the settings for those of people."""
    rows = apps.get_model("django_backie", "Schedule").objects.using(schema_editor.connection.alias)
    rows.filter(in_settings=True).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("django_backie", "0008_schedule_rows"),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="schedule", name="backie_schedule_once"),
        migrations.AddField(
            model_name="schedule",
            name="in_settings",
            field=models.BooleanField(db_default=False, default=False, editable=False, verbose_name="in the settings"),
        ),
        migrations.AddConstraint(
            model_name="schedule",
            constraint=models.UniqueConstraint(
                fields=("backend", "task", "rule", "name", "in_settings"), name="backie_schedule_once"
            ),
        ),
        # The last, so that going back begins with it.
        migrations.RunPython(migrations.RunPython.noop, remove_rows),
    ]
