"""The dashboard and the JSON API as a Django app: it brings templates and static files, and no models."""

from django.apps import AppConfig


class WebConfig(AppConfig):
    name = "chandlery.web"
    label = "chandlery_web"
    verbose_name = "Chandlery's dashboard and API"
