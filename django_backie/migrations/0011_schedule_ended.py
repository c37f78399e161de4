from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("django_backie", "0010_schedule_overlap"),
    ]

    operations = [
        migrations.AddField(
            model_name="schedule",
            name="is_ended",
            field=models.BooleanField(db_default=False, default=False, editable=False, verbose_name="ended"),
        ),
    ]
