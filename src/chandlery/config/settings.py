"""Django's settings. What a user may set is listed in `options`; importing this makes no file and no folder."""

import os

from django.utils.functional import SimpleLazyObject

from chandlery.config.environment import Environment, home_folder, kept_secret, package_folder, processors
from chandlery.exchanges.kraken.api.settings import ApiSettings

# ------------------------------------------------------------------------------------------------ Chandlery's own

CHANDLERY_HOME = home_folder()
_env = Environment(CHANDLERY_HOME)

CANDLE_STORE = _env.text("CANDLE_STORE")
ARCHIVE_DIR = _env.path("ARCHIVE_DIR")
DEFAULT_INTERVALS = _env.intervals("DEFAULT_INTERVALS")
WORKERS = _env.positive("WORKERS", processors())
TIERS_FILE = _env.path("TIERS_FILE")
CLOCK = _env.moment("CLOCK")
KRAKEN_API = ApiSettings(
    base_url=_env.address("KRAKEN_API"),
    rate=_env.number("KRAKEN_RATE"),
    connections=_env.positive("KRAKEN_CONNECTIONS", 8),
    timeout=_env.number("KRAKEN_TIMEOUT", above_zero=True),
    attempts=_env.positive("KRAKEN_ATTEMPTS", 5),
    retry_wait=_env.number("KRAKEN_RETRY_WAIT"),
    maintenance_wait=_env.number("KRAKEN_MAINTENANCE_WAIT"),
    budget=CHANDLERY_HOME / "data" / "kraken-requests.sqlite3",
)
LOG_FILE = _env.path("LOG_FILE")
WEB_LOGIN_REQUIRED = _env.flag("WEB_LOGIN_REQUIRED")
API_TOKEN = _env.text("API_TOKEN")

# Pages and API are there where their packages are: pip install 'chandlery[web]'. None of them is imported here, for
# every command would wait for it.
_web_packages = {name: package_folder(name) for name in ("django_htmx", "granian", "litecharts", "ninja")}
WEB_INSTALLED = all(_web_packages.values())

# How a person calls us, for messages that say what to run next; `chandlery` where there is no checkout.
PROGRAM = os.environ.get("CHANDLERY_PROGRAM", "python manage.py")

# -------------------------------------------------------------------------------------------------------- Django's

DEBUG = _env.flag("DEBUG")
# Only pages need it: it is read, or made, when a page first asks.
SECRET_KEY = _env.text("SECRET_KEY") or SimpleLazyObject(lambda: kept_secret(CHANDLERY_HOME))
ALLOWED_HOSTS = _env.words("ALLOWED_HOSTS")
# Behind a proxy that speaks TLS, forms come from https:// while we are asked by http://.
CSRF_TRUSTED_ORIGINS = [f"https://{'*' if name.startswith('.') else ''}{name}" for name in ALLOWED_HOSTS if name != "*"]

DATABASES = {"default": _env.database("DATABASE_URL")}
MIGRATION_MODULES = {"chandlery": "chandlery.models.migrations"}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "chandlery",
    "django.contrib.admin.apps.SimpleAdminConfig",  # `urls` finds the pages: commands start without them
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    *(["chandlery.web", "django_htmx"] if WEB_INSTALLED else []),
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    *(["chandlery.web.access.ReadersOnly", "django_htmx.middleware.HtmxMiddleware"] if WEB_INSTALLED else []),
]
if WEB_INSTALLED:
    MIDDLEWARE.insert(0, "chandlery.web.security.ContentSecurityPolicy")

ROOT_URLCONF = "chandlery.config.urls"
ASGI_APPLICATION = "chandlery.config.asgi.application"
WSGI_APPLICATION = "chandlery.config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                *(["chandlery.web.pages.frame.frame"] if WEB_INSTALLED else []),
            ]
        },
    }
]

STATIC_URL = "static/"
# Scripts and styles are served out of the installed packages: there is no `collectstatic` to forget.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG
STATICFILES_DIRS = [
    (name, folder / inside)
    for name, inside in (("litecharts", "js"), ("ninja", "static/ninja"))
    if WEB_INSTALLED and (folder := _web_packages[name])
]

# Nothing of ours is for other sites: neither in frames, nor by links that say where they are.
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
LOGIN_URL = "admin:login"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

# What fails while a page is made is told where the server was started; by default Django would only mail it.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "{asctime} {levelname} {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain", "level": "ERROR"}},
    "loggers": {"django.request": {"handlers": ["stderr"]}},
}
