"""The door for an ASGI server: `chandlery.config.asgi:application`."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chandlery.config.settings")

application = get_asgi_application()
