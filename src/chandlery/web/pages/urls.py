"""Where each page is."""

from django.conf import settings
from django.urls import path
from django.views.generic import RedirectView

from chandlery.web.pages.acts import accept, fill, pause_job, resume_job
from chandlery.web.pages.coverage import coverage, coverage_cell, coverage_cells
from chandlery.web.pages.files import files
from chandlery.web.pages.gaps import gaps
from chandlery.web.pages.jobs import job, job_running, jobs
from chandlery.web.pages.market import chart, market, markets
from chandlery.web.pages.overview import overview
from chandlery.web.pages.running import now_running

urlpatterns = [
    # The admin's pages name no icon, and a browser asks for this one then.
    path("favicon.ico", RedirectView.as_view(url=f"{settings.STATIC_URL}chandlery/icon.svg"), name="icon"),
    path("", overview, name="overview"),
    path("coverage/", coverage, name="coverage"),
    path("coverage/cells", coverage_cells, name="coverage-cells"),
    path("coverage/cell", coverage_cell, name="coverage-cell"),
    path("markets/", markets, name="markets"),
    path("markets/<str:altname>/", market, name="market"),
    path("markets/<str:altname>/chart", chart, name="chart"),
    path("gaps/", gaps, name="gaps"),
    path("gaps/fill", fill, name="fill"),
    path("gaps/<int:number>/accept", accept, name="accept"),
    path("jobs/", jobs, name="jobs"),
    path("jobs/running", now_running, name="now-running"),
    path("jobs/<uuid:pk>/", job, name="job"),
    path("jobs/<uuid:pk>/running", job_running, name="job-running"),
    path("jobs/<uuid:pk>/pause", pause_job, name="pause"),
    path("jobs/<uuid:pk>/resume", resume_job, name="resume"),
    path("files/", files, name="files"),
]
