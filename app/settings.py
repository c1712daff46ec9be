"""Django settings, read from the environment; docs/settings.md lists every variable."""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TypeVar, cast

import psycopg
from environs import Env, EnvValidationError, ValidationError
from psycopg.conninfo import conninfo_to_dict

from chat.conf import DEVELOPMENT_CENTRIFUGO_SECRET, DEVELOPMENT_SECRET_KEY

BASE_DIR = Path(__file__).resolve().parent.parent
DEFAULT_DATABASE_URL = "postgresql://besedka@127.0.0.1:5432/besedka"

Value = TypeVar("Value")

# It collects every mistake; `_refuse_mistakes` names them all.
_environment = Env(eager=False)


def _read(
    parse: Callable[..., Value],
    name: str,
    default: Value,
    clean: Callable[[str], str],
    **options: object,
) -> Value:
    """Return the value of a variable; one that is empty after `clean` counts as not set."""
    return parse(name, default, pre_load=lambda text: clean(text) or default, **options)


def _fold(text: str) -> str:
    return text.strip().lower()


def _flag(name: str, *, default: bool) -> bool:
    meaning = {"invalid": "={input!r} is neither true nor false: write 1 or 0."}
    # With the default, which an empty variable becomes; `y` and the like are refused.
    words = {
        "truthy": {"1", "true", "yes", "on", True},
        "falsy": {"0", "false", "no", "off", False},
    }
    return _read(_environment.bool, name, default, _fold, error_messages=meaning, **words)


def _number(name: str, default: int) -> int:
    meaning = {"invalid": "={input!r} is not a whole number."}
    return _read(_environment.int, name, default, str.strip, error_messages=meaning)


def _text(name: str, default: str = "", **options: object) -> str:
    # As it is: spaces may be part of a secret.
    return _read(_environment.str, name, default, str, **options)


def _words(name: str) -> list[str]:
    return [word for word in _environment.list(name, [], subcast=str.strip) if word]


def _check_database_url(url: str) -> None:
    """Raise where libpq cannot read the address. The message shows its scheme only: no password."""
    scheme = url.partition("://")[0] if "://" in url else ""
    if scheme not in {"postgres", "postgresql"}:
        raise ValidationError(f" must begin with postgresql://, not {scheme!r}.")
    try:
        ports = str(conninfo_to_dict(url).get("port") or "")
    except psycopg.ProgrammingError as error:
        # After the colon libpq quotes what it cannot read.
        raise ValidationError(f" cannot be read: {str(error).partition(':')[0]}.") from None
    if not all(port.isdecimal() for port in ports.split(",") if port):
        raise ValidationError(" has a port that is not a number.")


def _check_rate(text: str) -> None:
    """Raise where a limit is not `<how many>/<seconds>`, each at least 1."""
    if text and re.fullmatch(r"[1-9][0-9]{0,3}/[1-9][0-9]{0,4}", text) is None:
        raise ValidationError(
            f"={text!r} is not a number and a number of seconds, like 30/60: "
            "at most 9999 in at most 99999 seconds."
        )


def _refuse_mistakes() -> None:
    """Raise where a variable could not be read, with one line for each."""
    try:
        _environment.seal()
    except EnvValidationError as error:
        found = cast("Mapping[str, list[str]]", error.error_messages)
        lines = [f"{name}{fact}" for name, facts in found.items() for fact in facts]
        raise ValueError("\n".join(lines)) from None


def _describe_database(url: str) -> dict[str, object]:
    """Return Django's description of the database to which libpq connects with this address."""
    parameters = conninfo_to_dict(url)
    user = parameters.pop("user", "")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "USER": user,
        "PASSWORD": parameters.pop("password", ""),
        # With several hosts each is a list with commas, which libpq tries in turn.
        "HOST": parameters.pop("host", ""),
        "PORT": parameters.pop("port", ""),
        # As in libpq: without a name, the database is the one named after the user.
        "NAME": parameters.pop("dbname", user),
        "OPTIONS": parameters,
        # Under ASGI each request of the admin has a thread of its own, so a connection that
        # outlives its request is never used again: kept, they would fill PostgreSQL.
        "CONN_MAX_AGE": 0,
    }


DEBUG = _flag("DEBUG", default=False)
# By default the admin is for HTTPS only. The API leaves TLS to the proxy in front of it.
REQUIRE_TLS = _flag("REQUIRE_TLS", default=not DEBUG)
ALLOWED_HOSTS = _words("ALLOWED_HOSTS") or (["localhost", "127.0.0.1", "[::1]"] if DEBUG else [])
CSRF_TRUSTED_ORIGINS = _words("CSRF_TRUSTED_ORIGINS")

SECRET_KEY = _text("SECRET_KEY", DEVELOPMENT_SECRET_KEY)
JWT_SECRET = _text("JWT_SECRET", SECRET_KEY)
JWT_AUDIENCE = _text("JWT_AUDIENCE") or None
JWT_ISSUER = _text("JWT_ISSUER") or None
# Names the class that turns a bearer token into a principal; see app/authentication.py.
TOKEN_VERIFIER = _text("TOKEN_VERIFIER", "app.authentication.SharedSecretVerifier")
CENTRIFUGO_TOKEN_SECRET = _text("CENTRIFUGO_TOKEN_SECRET", DEVELOPMENT_CENTRIFUGO_SECRET)
CENTRIFUGO_TOKEN_TTL_SECONDS = _number("CENTRIFUGO_TOKEN_TTL_SECONDS", 600)

DATABASE_URL = _text("DATABASE_URL", DEFAULT_DATABASE_URL, validate=_check_database_url)
DATABASE_POOL_SIZE = _number("DATABASE_POOL_SIZE", 10)

CHAT_MESSAGE_MAX_LENGTH = _number("CHAT_MESSAGE_MAX_LENGTH", 4000)
CHAT_EVENT_RETENTION_DAYS = _number("CHAT_EVENT_RETENTION_DAYS", 90)
CHAT_AUDIENCE_HOURS = _number("CHAT_AUDIENCE_HOURS", 48)
# For example 30/60: at most 30 messages in any 60 seconds.
CHAT_SENDS_PER_USER = _text("CHAT_SENDS_PER_USER", validate=_check_rate)
CHAT_SENDS_PER_ROOM = _text("CHAT_SENDS_PER_ROOM", validate=_check_rate)
# The same for joins and leaves of a user, which each send an event to everyone in the room.
CHAT_JOINS_PER_USER = _text("CHAT_JOINS_PER_USER", validate=_check_rate)

LOG_LEVEL = _text("LOG_LEVEL", "INFO").upper()
# Prometheus metrics, on a port of their own; 0 serves none.
METRICS_HOST = _text("METRICS_HOST", "127.0.0.1")
METRICS_PORT = _number("METRICS_PORT", 0)
# What this process answers: `api`, `admin` or `all`.
SERVE = _text("SERVE", "all")

_refuse_mistakes()

DATABASES = {"default": _describe_database(DATABASE_URL)}

# `app.logs` configures logging where requests are served; commands print.
LOGGING_CONFIG = None

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = REQUIRE_TLS
SECURE_HSTS_SECONDS = 31_536_000 if REQUIRE_TLS else 0
# The host owns the domain, so it decides about HSTS for all of it, and about preloading.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]

INSTALLED_APPS = [
    # A process that serves only the API does not load the admin.
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

# Ten wrong passwords for one name lock that name, from any address: an address can be
# changed, forged in a header, or shared by everyone behind a proxy. In return, a stranger who knows
# a name can lock it; `manage.py axes_reset_username` unlocks it at once.
AXES_FAILURE_LIMIT = 10
AXES_LOCKOUT_PARAMETERS = ["username"]
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
# Attempts are counted by name, so another address or another browser does not start a new count.
SILENCED_SYSTEM_CHECKS += ["axes.W006"]
AXES_LOCKOUT_CALLABLE = "chat.admin.lockout.answer_locked_out"

# Only the service's own files: no page of the admin needs an inline script or style.
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
