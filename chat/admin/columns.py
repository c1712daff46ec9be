"""How values are shown."""

from datetime import datetime
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.timezone import now

EXCERPT_LENGTH = 100
NOTHING = "–"
"""Shown where a row has no such value."""


def show_age(moment: datetime) -> SafeString:
    """Return how long ago it was, in words, with the exact time to hover for."""
    return format_html(
        '<time datetime="{}" title="{}">{} ago</time>',
        moment.isoformat(),
        date_format(moment, "j F Y, H:i:s e"),
        _say_age(moment),
    )


def _say_age(moment: datetime) -> str:
    seconds = int((now() - moment).total_seconds())
    if seconds >= 60:
        return timesince(moment, depth=1)
    # The age of an outbox row is a matter of seconds.
    return "1 second" if seconds == 1 else f"{max(seconds, 0)} seconds"


def shorten(text: str) -> str:
    """Return the beginning of a text, on one line."""
    line = " ".join(text[: EXCERPT_LENGTH * 4].split())
    return line if len(line) <= EXCERPT_LENGTH else line[: EXCERPT_LENGTH - 1] + "…"


def link_list(model: str, text: object, **terms: object) -> SafeString:
    """Return a link to the list of a model, narrowed to what the terms find."""
    address = reverse(f"admin:chat_{model}_changelist")
    return format_html('<a href="{}?{}">{}</a>', address, urlencode(terms), text)


def link_page(model: str, key: int, text: object) -> SafeString:
    """Return a link to the page of one row."""
    return format_html(
        '<a href="{}">{}</a>', reverse(f"admin:chat_{model}_change", args=[key]), text
    )
