"""Exchanges: one row each, for what is on record of an exchange as a whole."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from chandlery.models.held_rows import hold


class Exchanges(models.Manager["Exchange"]):
    """The way to have an exchange to oneself."""

    def hold(self, name: str) -> None:
        """Nobody else changes what is on record of the exchange as a whole until the transaction around ends. Before
        any of its markets is held.
        """
        self.get_or_create(name=name)
        hold(self.filter(name=name))


class Exchange(models.Model):
    """An exchange of which something is on record."""

    name = models.CharField(max_length=16, primary_key=True)

    objects: ClassVar[Exchanges] = Exchanges()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
