from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("django_backie", "0006_pause"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="pause",
            options={
                "default_permissions": ("view",),
                "ordering": ["queue", "task"],
                "permissions": [("pause_queue", "Can pause and resume queues and tasks")],
                "verbose_name": "pause",
                "verbose_name_plural": "pauses",
            },
        ),
        migrations.AddField(
            model_name="pause",
            name="task",
            field=models.CharField(blank=True, default="", max_length=200, verbose_name="task"),
        ),
        migrations.AlterField(
            model_name="pause",
            name="queue",
            field=models.CharField(blank=True, default="", max_length=100, verbose_name="queue"),
        ),
        migrations.RemoveConstraint(
            model_name="pause",
            name="backie_pause_once",
        ),
        migrations.AddConstraint(
            model_name="pause",
            constraint=models.UniqueConstraint(fields=("backend", "queue", "task"), name="backie_pause_once"),
        ),
    ]
