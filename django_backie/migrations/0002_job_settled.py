from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("django_backie", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="job",
            name="settled",
            field=models.BooleanField(db_default=False, default=False, editable=False, verbose_name="settled"),
        ),
    ]
