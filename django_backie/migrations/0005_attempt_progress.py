from django.db import migrations, models


class Migration(migrations.Migration):
    """How far an attempt was."""

    dependencies = [("django_backie", "0004_schedule")]

    operations = [
        migrations.AddField(
            model_name="attempt",
            name="progress",
            field=models.JSONField(default=None, editable=False, null=True, verbose_name="progress"),
        ),
    ]
