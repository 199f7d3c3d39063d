"""Chandlery as a Django app."""

from django.apps import AppConfig


class ChandleryConfig(AppConfig):
    default_auto_field = "django.db.models.BigAutoField"
    name = "chandlery"
    label = "chandlery"
    verbose_name = "Chandlery"
