"""The door for a WSGI server: `chandlery.config.wsgi:application`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chandlery.config.settings")

application = get_wsgi_application()
