"""Django settings, read from the environment; docs/settings.md lists every variable."""

import logging
import os
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
# Of tokens: those of a shared secret, and those of a public key.
SECRET_ALGORITHMS = ["HS256", "HS384", "HS512"]
KEY_ALGORITHMS = [
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
]

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


def _shout(text: str) -> str:
    return text.strip().upper()


def _flag(name: str, *, default: bool) -> bool:
    meaning = {"invalid": "={input!r} is neither true nor false: write 1 or 0."}
    # With the default, which an empty variable becomes; `y` and the like are refused.
    words = {
        "truthy": {"1", "true", "yes", "on", True},
        "falsy": {"0", "false", "no", "off", False},
    }
    return _read(_environment.bool, name, default, _fold, error_messages=meaning, **words)


def _number(name: str, default: int, least: int = 0, most: int = 2**31 - 1) -> int:
    def check(number: int) -> None:
        if not least <= number <= most:
            raise ValidationError(
                f"={number} is out of bounds: give a number from {least} to {most}."
            )

    meaning = {"invalid": "={input!r} is not a whole number."}
    return _read(_environment.int, name, default, str.strip, error_messages=meaning, validate=check)


def _text(name: str, default: str = "", **options: object) -> str:
    # As it is: spaces may be part of a secret.
    return _read(_environment.str, name, default, str, **options)


def _choice(name: str, default: str, *others: str) -> str:
    def check(word: str) -> None:
        if word not in {default, *others}:
            known = ", ".join([default, *others])
            raise ValidationError(f"={word!r} is not one of {known}.")

    return _read(_environment.str, name, default, str.strip, validate=check)


def _words(name: str, check: Callable[[str], None] = lambda _: None) -> list[str]:
    found = _environment.list(
        name, [], subcast=str.strip, validate=lambda words: _each(words, check)
    )
    return [word for word in found or [] if word]


def _each(words: list[str], check: Callable[[str], None]) -> None:
    for word in filter(None, words):
        check(word)


def _check_algorithm(name: str) -> None:
    """Raise where a JWT's algorithm is none that is verified here; `none` never is."""
    if name not in {*SECRET_ALGORITHMS, *KEY_ALGORITHMS}:
        known = ", ".join([*SECRET_ALGORITHMS, *KEY_ALGORITHMS])
        raise ValidationError(f" has {name!r}, which is not one of {known}.")


def _read_public_keys() -> str:
    """Return the PEM of `JWT_PUBLIC_KEY`, or of the file that `JWT_PUBLIC_KEY_FILE` names."""
    text = _text("JWT_PUBLIC_KEY", validate=_check_public_keys)
    path = _text("JWT_PUBLIC_KEY_FILE", validate=_check_public_key_file)
    return text or _read_file(path)


def _read_file(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii") if path else ""
    except (OSError, ValueError):
        return ""


def _check_public_key_file(path: str) -> None:
    if not path:
        return
    if os.environ.get("JWT_PUBLIC_KEY"):
        raise ValidationError(" and JWT_PUBLIC_KEY are both set: set one of them.")
    if not (text := _read_file(path)):
        raise ValidationError(f"={path!r} is no file in PEM that can be read.")
    _check_public_keys(text)


def _check_public_keys(text: str) -> None:
    """Raise where a text is no public key in PEM. The message shows nothing of it."""
    if text:
        from app.identity.keys import read_pem  # noqa: PLC0415 - `cryptography` only where there are keys

        try:
            read_pem(text)
        except ValueError as error:
            raise ValidationError(str(error)) from None


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


def _check_log_level(name: str) -> None:
    """Raise where logging knows no such level."""
    if name not in logging.getLevelNamesMapping():
        raise ValidationError(f"={name!r} is none of DEBUG, INFO, WARNING, ERROR and CRITICAL.")


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

# The pages that may call the API, by their origins. It reads no cookie, so `*` is safe.
CORS_ALLOWED_ORIGINS = [
    word.lower() for part in _words("CORS_ALLOWED_ORIGINS") for word in part.split()
]

SECRET_KEY = _text("SECRET_KEY", DEVELOPMENT_SECRET_KEY)
# While a secret is changed, what was signed with the one before is accepted too; docs/secrets.md.
SECRET_KEY_BEFORE = _text("SECRET_KEY_BEFORE")
SECRET_KEY_FALLBACKS = [SECRET_KEY_BEFORE] if SECRET_KEY_BEFORE else []
JWT_SECRET = _text("JWT_SECRET", SECRET_KEY)
# Verifies too, while the host changes its secret.
JWT_SECRET_BEFORE = _text("JWT_SECRET_BEFORE")
# Public keys in PEM, or the file that has them; or the addresses of JWK Sets, one an issuer.
JWT_PUBLIC_KEY = _read_public_keys()
JWT_JWKS_URL = _words("JWT_JWKS_URL")
JWT_ISSUER = _words("JWT_ISSUER")
JWT_AUDIENCE = _words("JWT_AUDIENCE")
JWT_AUDIENCE_CLAIM = _words("JWT_AUDIENCE_CLAIM") or ["aud"]
JWT_ALGORITHMS = _words("JWT_ALGORITHMS", _check_algorithm) or (
    KEY_ALGORITHMS if JWT_PUBLIC_KEY or JWT_JWKS_URL else ["HS256"]
)
JWT_USER_CLAIM = _text("JWT_USER_CLAIM", "sub")
JWT_SERVICE_CLAIM = _words("JWT_SERVICE_CLAIM")
JWT_SERVICE_VALUE = _text("JWT_SERVICE_VALUE")
JWT_REQUIRE_EXP = _flag("JWT_REQUIRE_EXP", default=False)
JWT_MAX_LIFETIME_SECONDS = _number("JWT_MAX_LIFETIME_SECONDS", 0)
# The host's own check of tokens.
AUTH_VERIFY_URL = _text("AUTH_VERIFY_URL")
AUTH_VERIFY_TIMEOUT_SECONDS = _number("AUTH_VERIFY_TIMEOUT_SECONDS", 2)
AUTH_VERIFY_CACHE_SECONDS = _number("AUTH_VERIFY_CACHE_SECONDS", 30)
# Names the class that turns a bearer token into a principal; see app/authentication.py.
TOKEN_VERIFIER = _text(
    "TOKEN_VERIFIER",
    "app.identity.remote_verifier.RemoteVerifier"
    if AUTH_VERIFY_URL
    else "app.identity.jwt_verifier.JwtVerifier",
)
CENTRIFUGO_TOKEN_SECRET = _text("CENTRIFUGO_TOKEN_SECRET", DEVELOPMENT_CENTRIFUGO_SECRET)
# Only verified, by the embedded gateway; Centrifugo's own is `hmac_previous_secret_key`.
CENTRIFUGO_TOKEN_SECRET_BEFORE = _text("CENTRIFUGO_TOKEN_SECRET_BEFORE")
# `chat.checks` refuses less than 30 when DEBUG is off.
CENTRIFUGO_TOKEN_TTL_SECONDS = _number("CENTRIFUGO_TOKEN_TTL_SECONDS", 600, 1, 365 * 86_400)

DATABASE_URL = _text("DATABASE_URL", DEFAULT_DATABASE_URL, validate=_check_database_url)
DATABASE_POOL_SIZE = _number("DATABASE_POOL_SIZE", 10, 1, 1000)

# What a room is of which the kind is not said, and who may create which.
CHAT_DEFAULT_ROOM_KIND = _choice("CHAT_DEFAULT_ROOM_KIND", "public", "private")
CHAT_USERS_MAY_CREATE = _choice("CHAT_USERS_MAY_CREATE", "none", "private", "any")
CHAT_MESSAGE_MAX_LENGTH = _number("CHAT_MESSAGE_MAX_LENGTH", 4000)
CHAT_EVENT_RETENTION_DAYS = _number("CHAT_EVENT_RETENTION_DAYS", 90, 1, 36_500)
CHAT_AUDIENCE_HOURS = _number("CHAT_AUDIENCE_HOURS", 48)
# For example 30/60: at most 30 messages in any 60 seconds.
CHAT_SENDS_PER_USER = _text("CHAT_SENDS_PER_USER", validate=_check_rate)
CHAT_SENDS_PER_ROOM = _text("CHAT_SENDS_PER_ROOM", validate=_check_rate)
# The same for joins and leaves of a user, which each send an event to everyone in the room.
CHAT_JOINS_PER_USER = _text("CHAT_JOINS_PER_USER", validate=_check_rate)
# 0 is no limit.
CHAT_ROOMS_PER_USER = _number("CHAT_ROOMS_PER_USER", 0, 0, 1_000_000)
CHAT_MEMBERS_PER_ROOM = _number("CHAT_MEMBERS_PER_ROOM", 0, 0, 10_000_000)
# For example 20/86400: at most 20 in any day.
CHAT_ROOMS_CREATED_PER_USER = _text("CHAT_ROOMS_CREATED_PER_USER", validate=_check_rate)
CHAT_DIRECT_ROOMS_PER_USER = _text("CHAT_DIRECT_ROOMS_PER_USER", validate=_check_rate)
CHAT_REPORTS_PER_USER = _text("CHAT_REPORTS_PER_USER", validate=_check_rate)
# The host is asked about each message before it is stored; docs/moderation.md.
CHAT_BEFORE_SEND_URL = _text("CHAT_BEFORE_SEND_URL")
CHAT_BEFORE_SEND_SECRET = _text("CHAT_BEFORE_SEND_SECRET")
CHAT_BEFORE_SEND_ON_FAILURE = _text("CHAT_BEFORE_SEND_ON_FAILURE", "allow")

LOG_LEVEL = _read(_environment.str, "LOG_LEVEL", "INFO", _shout, validate=_check_log_level)
# Prometheus metrics, on a port of their own; 0 serves none.
METRICS_HOST = _text("METRICS_HOST", "127.0.0.1")
METRICS_PORT = _number("METRICS_PORT", 0, 0, 65_535)
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
    "app.below_prefix.CookiePathMiddleware",
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
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "app.below_prefix.PrefixedStaticFilesStorage"},
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
