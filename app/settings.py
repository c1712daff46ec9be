"""Django settings, read from the environment; docs/settings.md lists every variable."""

import os
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

BASE_DIR = Path(__file__).resolve().parent.parent

# The secret of the development contract. `chat.checks` refuses it when DEBUG is off.
DEVELOPMENT_SECRET_KEY = "django-insecure-x7gca%3()9-8a!mo%v+x2_f4to#yvo(d1+@g8*sv4bz$-y1ya7"  # noqa: S105 - the published development default, refused in production
DEVELOPMENT_CENTRIFUGO_SECRET = "besedka-development-centrifugo-token-secret"  # noqa: S105 - the same


def _flag(name: str, *, default: bool = False) -> bool:
    value = os.environ.get(name, "").strip().lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    if not value:
        return default
    message = f"{name}={value!r} is neither true nor false: write 1 or 0."
    raise ValueError(message)


def _number(name: str, default: int) -> int:
    value = os.environ.get(name, "").strip()
    try:
        return int(value) if value else default
    except ValueError:
        message = f"{name}={value!r} is not a whole number."
        raise ValueError(message) from None


def _words(name: str) -> list[str]:
    return [word.strip() for word in os.environ.get(name, "").split(",") if word.strip()]


def _database(url: str) -> dict[str, object]:
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        message = f"DATABASE_URL must begin with postgresql://, not {parts.scheme!r}."
        raise ValueError(message)
    options = dict(pair.split("=", 1) for pair in parts.query.split("&") if "=" in pair)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(options.pop("host", parts.hostname or "")),
        "PORT": str(parts.port or ""),
        "OPTIONS": {key: unquote(value) for key, value in options.items()},
        # Under ASGI each request of the admin has a thread of its own, so a connection that
        # outlives its request is never used again: kept, they would fill PostgreSQL.
        "CONN_MAX_AGE": 0,
    }


DEBUG = _flag("DEBUG")
SECRET_KEY = os.environ.get("SECRET_KEY") or DEVELOPMENT_SECRET_KEY
ALLOWED_HOSTS = _words("ALLOWED_HOSTS") or (["localhost", "127.0.0.1", "[::1]"] if DEBUG else [])

# `app.logs` configures logging where requests are served; commands print.
LOGGING_CONFIG = None

# The admin is for HTTPS only, unless told otherwise; the API leaves TLS to whatever is in front.
REQUIRE_TLS = _flag("REQUIRE_TLS", default=not DEBUG)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = REQUIRE_TLS
SECURE_HSTS_SECONDS = 31_536_000 if REQUIRE_TLS else 0
CSRF_TRUSTED_ORIGINS = _words("CSRF_TRUSTED_ORIGINS")
# HSTS for the whole domain, and preloading it, are the host's to decide: it owns the domain.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]

LOG_LEVEL = (os.environ.get("LOG_LEVEL") or "INFO").upper()
# Prometheus metrics, on a port of their own; none are served without one.
METRICS_HOST = os.environ.get("METRICS_HOST") or "127.0.0.1"
METRICS_PORT = _number("METRICS_PORT", 0)

# What this process answers: `api`, `admin` or `all`.
SERVE = os.environ.get("SERVE") or "all"

DATABASE_URL = os.environ.get("DATABASE_URL") or "postgresql://besedka@127.0.0.1:5432/besedka"
DATABASES = {"default": _database(DATABASE_URL)}
DATABASE_POOL_SIZE = _number("DATABASE_POOL_SIZE", 10)

JWT_SECRET = os.environ.get("JWT_SECRET") or SECRET_KEY
JWT_AUDIENCE = os.environ.get("JWT_AUDIENCE") or None
JWT_ISSUER = os.environ.get("JWT_ISSUER") or None
# Names the class that turns a bearer token into a principal; see app/authentication.py.
TOKEN_VERIFIER = os.environ.get("TOKEN_VERIFIER") or "app.authentication.SharedSecretVerifier"

CENTRIFUGO_TOKEN_SECRET = os.environ.get("CENTRIFUGO_TOKEN_SECRET") or DEVELOPMENT_CENTRIFUGO_SECRET
CENTRIFUGO_TOKEN_TTL_SECONDS = _number("CENTRIFUGO_TOKEN_TTL_SECONDS", 600)

CHAT_MESSAGE_MAX_LENGTH = _number("CHAT_MESSAGE_MAX_LENGTH", 4000)
CHAT_EVENT_RETENTION_DAYS = _number("CHAT_EVENT_RETENTION_DAYS", 90)

INSTALLED_APPS = [
    # A process that serves only the API does not even load the admin.
    *([] if SERVE == "api" else ["django.contrib.admin", "axes", "csp"]),
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "chat",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    *([] if SERVE == "api" else ["csp.middleware.CSPMiddleware"]),
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    *(
        []
        if SERVE == "api"
        else ["chat.admin.waits.BoundedWaitsMiddleware", "axes.middleware.AxesMiddleware"]
    ),
]
AUTHENTICATION_BACKENDS = [
    *([] if SERVE == "api" else ["axes.backends.AxesStandaloneBackend"]),
    "django.contrib.auth.backends.ModelBackend",
]

# Ten wrong passwords for one name lock that name, wherever they come from: an address can be
# changed, forged in a header, or shared by everyone behind a proxy. The price is that a stranger
# who knows a name can lock it; `manage.py axes_reset_username` opens it at once.
AXES_FAILURE_LIMIT = 10
AXES_LOCKOUT_PARAMETERS = ["username"]
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
# Attempts are summed up by name, so neither another address nor another browser starts anew.
SILENCED_SYSTEM_CHECKS += ["axes.W006"]
AXES_LOCKOUT_CALLABLE = "chat.admin.lockout.answer_locked_out"

# Nothing but the service's own files: no page of the admin needs an inline script or style.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'"],
        "connect-src": ["'self'"],
        "font-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "app.urls"
ASGI_APPLICATION = "app.asgi.application"
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / ".data" / "static"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
