"""Where everything is: pages, the JSON API, and what a monitor asks."""

from django.urls import include, path

from chandlery.web.health import healthz

urlpatterns = [
    path("", include("chandlery.web.pages.urls")),
    path("api/v1/", include("chandlery.web.api.urls")),
    path("healthz", healthz, name="healthz"),
]
