"""Which candle store this state speaks of."""

from __future__ import annotations

from django.db import models


class StoreBinding(models.Model):
    """The one store whose candles the coverage here describes. At most one row."""

    store_id = models.CharField(max_length=64)
    url = models.TextField()
    bound_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="one_store_only")]

    def __str__(self) -> str:
        return self.url
