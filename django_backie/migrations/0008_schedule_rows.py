from typing import Any

from django.db import migrations, models


def remove_rows(apps: Any, schema_editor: Any) -> None:
    """Remove what the former table has no place for: schedules that people wrote."""
    rows = apps.get_model("django_backie", "Schedule").objects.using(schema_editor.connection.alias)
    rows.exclude(name="").delete()


class Migration(migrations.Migration):
    dependencies = [
        ("django_backie", "0007_pause_task"),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="schedule", name="backie_schedule_once"),
        migrations.AddField(
            model_name="schedule",
            name="name",
            field=models.CharField(blank=True, default="", max_length=100, verbose_name="name"),
        ),
        migrations.AddField(
            model_name="schedule",
            name="zone",
            field=models.CharField(blank=True, default="", max_length=100, verbose_name="time zone"),
        ),
        migrations.AddField(
            model_name="schedule",
            name="missed",
            field=models.CharField(default="latest", max_length=10, verbose_name="missed times"),
        ),
        migrations.AddField(
            model_name="schedule",
            name="args",
            field=models.JSONField(blank=True, default=list, verbose_name="arguments"),
        ),
        migrations.AddField(
            model_name="schedule",
            name="kwargs",
            field=models.JSONField(blank=True, default=dict, verbose_name="arguments by name"),
        ),
        migrations.AddField(
            model_name="schedule",
            name="queue",
            field=models.CharField(blank=True, default="", max_length=100, verbose_name="queue"),
        ),
        migrations.AddField(
            model_name="schedule",
            name="priority",
            field=models.SmallIntegerField(blank=True, null=True, verbose_name="priority"),
        ),
        migrations.AddConstraint(
            model_name="schedule",
            constraint=models.UniqueConstraint(fields=("backend", "task", "rule", "name"), name="backie_schedule_once"),
        ),
        migrations.AlterModelOptions(
            name="schedule",
            options={
                "ordering": ["task", "rule"],
                "permissions": [("run_schedule", "Can pause, resume and run schedules")],
                "verbose_name": "schedule",
                "verbose_name_plural": "schedules",
            },
        ),
        # The last, so that going back begins with it.
        migrations.RunPython(migrations.RunPython.noop, remove_rows),
    ]
