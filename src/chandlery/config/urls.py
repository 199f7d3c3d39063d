"""The pages of the project."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

admin.autodiscover()
admin.site.site_header = "Chandlery"
admin.site.site_title = "Chandlery"
admin.site.index_title = "What is known of markets, files, coverage and gaps"

urlpatterns = [
    *([path("", include("chandlery.web.urls"))] if settings.WEB_INSTALLED else []),
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
]
