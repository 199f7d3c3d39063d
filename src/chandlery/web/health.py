"""Is it well? For a monitor: 200, or 503 with reasons. It says nothing that a stranger should not read."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from chandlery.errors import ChandleryError
from chandlery.models import StoreBinding
from chandlery.stores import open_store

WELL = "ok"


@require_safe
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """{"status": "ok", "database": "ok", "store": "ok"}, or what is wrong with which."""
    found = {"database": WELL, "store": WELL}
    try:
        binding = StoreBinding.objects.first()
    except DatabaseError:
        found = {
            "database": "it cannot be read, or migrations are due",
            "store": "not looked at: it needs the database",
        }
    else:
        found["store"] = _store(binding)
    is_well = all(said == WELL for said in found.values())
    return JsonResponse({"status": WELL if is_well else "failing", **found}, status=200 if is_well else 503)


def _store(binding: StoreBinding | None) -> str:
    """What is wrong with the candle store; a new one, of which nothing is known, is well."""
    try:
        identity = open_store(settings.CANDLE_STORE, Path(settings.CHANDLERY_HOME)).identity()
    except ChandleryError:
        return "it cannot be opened"
    if binding is None or identity == binding.store_id:
        return WELL
    return "it is empty or not there" if identity is None else "it is another than the one that the database speaks of"
