import os
from typing import Any

from django.db import migrations, models


def take_apart(apps: Any, editor: Any) -> None:
    """Sources were one text until now."""
    job = apps.get_model("chandlery", "IngestionJob")
    for row in job.objects.exclude(csv_source_dir="").filter(sources=None):
        row.sources = [path for path in row.csv_source_dir.split(os.pathsep) if path]
        row.save(update_fields=["sources"])


class Migration(migrations.Migration):
    dependencies = [("chandlery", "0002_leases_and_requests")]

    operations = [
        migrations.AddField(
            model_name="ingestionjob",
            name="candles_conflicting",
            field=models.PositiveBigIntegerField(
                default=0, help_text="Candles of the API's answers that differ from a stronger source, which stands."
            ),
        ),
        migrations.AddField(
            model_name="ingestionjob",
            name="sources",
            field=models.JSONField(
                blank=True,
                help_text="The sources named by --source; none: ARCHIVE_DIR, looked at anew each time.",
                null=True,
            ),
        ),
        migrations.RunPython(take_apart, migrations.RunPython.noop),
    ]
