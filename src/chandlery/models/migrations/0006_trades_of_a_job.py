"""What a job may spend on trades, and how many it has walked over. Jobs of before were never to walk any."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("chandlery", "0005_ledger_and_findings")]

    operations = [
        migrations.AddField(
            model_name="ingestionjob",
            name="trades_walked",
            field=models.PositiveBigIntegerField(default=0, help_text="Trades from which minutes were rebuilt."),
        ),
        migrations.AddField(
            model_name="ingestionjob",
            name="trade_budget",
            field=models.PositiveBigIntegerField(
                blank=True,
                default=0,
                help_text="Requests that one run may spend on trades; none: any number.",
                null=True,
            ),
        ),
    ]
