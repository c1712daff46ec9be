"""Logs: one JSON object a line in production, readable lines in development, on stderr.

All lines of the process go through one `LineWriter`, so a reader of stderr that is slow or stuck
delays no request. A line contains ids, sizes and durations, never a body, a token or a query
string. A traceback contains no values of variables, for the same reason.
"""

import logging
import logging.config
from typing import Any

import structlog
from django.conf import settings
from structlog.typing import Processor

from app.line_writer import STDERR

SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


class _LineHandler(logging.Handler):
    """Gives each record to the writer."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record as its formatter has it; a record that cannot be formatted is named."""
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - logging must not fail a request
            self.handleError(record)
            return
        STDERR.write(f"{line}\n".encode(errors="backslashreplace"))


def _renderers() -> list[Processor]:
    if settings.DEBUG:
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=False, exception_formatter=plain)]
    return [
        structlog.processors.ExceptionRenderer(
            structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        ),
        structlog.processors.JSONRenderer(),
    ]


def configure_logs() -> None:
    """Send every line of this process, ours and the libraries', to stderr in one format."""
    formatter: dict[str, Any] = {
        "()": structlog.stdlib.ProcessorFormatter,
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers()],
        "foreign_pre_chain": [*SHARED, structlog.stdlib.ExtraAdder()],
    }
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"structured": formatter},
            "handlers": {"stderr": {"()": _LineHandler, "formatter": "structured"}},
            "root": {"handlers": ["stderr"], "level": settings.LOG_LEVEL},
            "loggers": {
                name: {"handlers": [], "propagate": True, "level": level}
                for name, level in {
                    "uvicorn": "WARNING",
                    "uvicorn.error": "WARNING",
                    "psycopg.pool": "WARNING",
                    # One line for each token that the host is asked about.
                    "httpx": "WARNING",
                    "httpcore": "WARNING",
                    # Its warnings repeat the request's own line.
                    "django.request": "ERROR",
                }.items()
            },
        }
    )
    structlog.configure(
        processors=[*SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
