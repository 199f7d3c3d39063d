"""Where everything is: pages, the JSON API, and what a monitor asks."""

from django.urls import include, path

from chandlery.web.health import healthz
from chandlery.web.metrics import metrics

urlpatterns = [
    path("", include("chandlery.web.pages.urls")),
    path("api/v1/", include("chandlery.web.api.urls")),
    path("healthz", healthz, name="healthz"),
    path("metrics", metrics, name="metrics"),
]
