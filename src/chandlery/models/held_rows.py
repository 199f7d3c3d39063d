"""Rows that whoever changes state holds: on a server, transactions of several processes go on at the same time.

    1. the lease of the run          nobody else takes it
    2. the row of the exchange       what is on record of all its markets at once: outages
    3. the rows of the markets       what is on record of each: coverage, ledger, audits, findings, leases of its series
    4. the rows of gaps              each by itself

Whoever needs several takes them in this order, and markets in the order of their keys: so nobody waits for someone who
waits for him. What is read before it is held may be other than it was: it is read anew. On SQLite one transaction that
writes comes after the other anyway, and nothing is asked.
"""

from __future__ import annotations

from typing import TypeVar

from django.db import connections, models

Row = TypeVar("Row", bound=models.Model)


def hold(rows: models.QuerySet[Row]) -> None:
    """Nobody else holds any of them until the transaction around ends. Rows that refer to them can still be added."""
    if connections[rows.db].features.has_select_for_update:
        # Evaluated, and nothing kept of it.
        list(rows.order_by("pk").select_for_update(no_key=True, of=("self",)).values_list("pk"))
