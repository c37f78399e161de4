import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("django_backie", "0009_schedule_in_settings"),
    ]

    operations = [
        migrations.AddField(
            model_name="schedule",
            name="overlap",
            field=models.CharField(db_default="allow", default="allow", max_length=10, verbose_name="overlap"),
        ),
        migrations.AddField(
            model_name="schedule",
            name="jitter",
            field=models.FloatField(
                db_default=0.0,
                default=0.0,
                validators=[django.core.validators.MinValueValidator(0.0)],
                verbose_name="jitter",
            ),
        ),
    ]
