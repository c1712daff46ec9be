"""How values are shown."""

from datetime import MAXYEAR, datetime
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.timezone import now

from chat.visible import make_text_visible, make_visible

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


def show_mute(until: datetime | None) -> str:
    """Return until when a member may not send; empty for one who may."""
    if until is None or until <= now():
        return ""
    return "for ever" if until.year == MAXYEAR else date_format(until, "j F Y, H:i:s e")


def _say_age(moment: datetime) -> str:
    seconds = int((now() - moment).total_seconds())
    if seconds >= 60:
        return timesince(moment, depth=1)
    # The age of an outbox row is a matter of seconds.
    return "1 second" if seconds == 1 else f"{max(seconds, 0)} seconds"


def shorten(text: str) -> str:
    """Return the beginning of a text, on one line, with nothing hidden in it."""
    beginning = text[: EXCERPT_LENGTH * 4]
    return _cut(make_text_visible(" ".join(beginning.split()) or beginning))


def shorten_name(name: str) -> SafeString:
    """Show the beginning of a name, with nothing hidden in it."""
    return format_html("<bdi>{}</bdi>", _cut(make_visible(name)))


def show_name(name: str) -> SafeString:
    """Show a name or an id with nothing hidden in it; it turns nothing around beside it."""
    return format_html("<bdi>{}</bdi>", make_visible(name))


def show_text(text: str) -> SafeString:
    """Show a whole text, line by line, with nothing hidden in it."""
    return format_html('<div class="message-text">{}</div>', make_text_visible(text))


def _cut(line: str) -> str:
    return line if len(line) <= EXCERPT_LENGTH else line[: EXCERPT_LENGTH - 1] + "…"


def link_list(model: str, text: object, **terms: object) -> SafeString:
    """Return a link to the list of a model, narrowed to what the terms find."""
    address = reverse(f"admin:chat_{model}_changelist")
    return format_html('<a href="{}?{}">{}</a>', address, urlencode(terms), show_name(str(text)))


def link_page(model: str, key: int, text: object) -> SafeString:
    """Return a link to the page of one row."""
    return format_html(
        '<a href="{}">{}</a>', reverse(f"admin:chat_{model}_change", args=[key]), text
    )
