"""`{{ name|visible }}` and `{{ content|visible_text }}`."""

from django.template import Library

from chat.visible import make_text_visible, make_visible

register = Library()


@register.filter
def visible(value: object) -> str:
    """Return a name or an id with nothing hidden in it."""
    return make_visible(str(value))


@register.filter
def visible_text(value: object) -> str:
    """Return a text of several lines with nothing hidden in it."""
    return make_text_visible(str(value))
