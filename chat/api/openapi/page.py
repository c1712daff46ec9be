"""The OpenAPI document as one HTML page, made on the server: no script, no font, no other address.

`page.html` is the page; here are the filters that it uses.
"""

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from django.template import Context, Engine, Library
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from chat.conf import BIGINT_MAX

Schema = dict[str, Any]

FOLDER = Path(__file__).parent
_STYLE = (FOLDER / "page.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
EXAMPLE_ORIGIN = "http://localhost:9000"
"""Where the examples of the page send their requests."""
register = Library()


def render_page(document: Schema) -> str:
    """Return the page of an OpenAPI document; everything of the document is escaped."""
    # An engine of its own, because only this page needs these filters.
    engine = Engine(dirs=[str(FOLDER)], builtins=[__name__])
    operations = [
        operation
        | {
            "method": method,
            "address": address,
            "name": operation["operationId"].replace("_", " "),
            "body": operation.get("requestBody", {}),
        }
        for address, item in document["paths"].items()
        for method, operation in item.items()
    ]
    style = mark_safe(_STYLE)  # noqa: S308 - a file of this package
    context = {"document": document, "operations": operations, "style": style}
    context |= {"origin": EXAMPLE_ORIGIN}
    return engine.get_template("page.html").render(Context(context))


@register.filter
def mark_path(address: str) -> SafeString:
    """Return an address with its parameters as `<var>`."""
    return mark_safe(re.sub(r"(\{\w+\})", r"<var>\1</var>", escape(address)))  # noqa: S308 - escaped


@register.filter
def mark_code(text: str) -> SafeString:
    """Return a text with what is between backticks as `<code>`."""
    return mark_safe(re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text)))  # noqa: S308 - escaped


@register.filter
def split_paragraphs(text: str) -> SafeString:
    """Return a text of several paragraphs."""
    parts = (part for part in text.strip().split("\n\n") if part)
    return format_html_join("", "<p>{}</p>", ((mark_code(part),) for part in parts))


@register.filter
def fill_in(operation: Schema) -> str:
    """Return the address and the query of an operation with its examples."""
    examples = {
        (parameter["in"], parameter["name"]): str(parameter["example"])
        for parameter in operation["parameters"]
        if "example" in parameter
    }
    query = "&".join(
        f"{name}={text}" for (place, name), text in examples.items() if place == "query"
    )
    address = re.sub(r"\{(\w+)\}", lambda found: examples["path", found[1]], operation["address"])
    return f"{address}?{query}" if query else address


@register.filter
def find_content(part: Schema) -> Schema:
    """Return what a request or an answer holds, or nothing."""
    return next(iter(part.get("content", {}).values()), {})


@register.filter
def find_examples(schema: Schema, document: Schema) -> list[object]:
    """Return the examples of the schema that is referred to."""
    return list(document["components"]["schemas"].get(_name(schema), {}).get("examples", []))


@register.filter
def list_fields(schema: Schema) -> Iterator[tuple[str, Schema, bool]]:
    """Give name, schema and whether it is optional, of each field."""
    for name, field in schema.get("properties", {}).items():
        yield name, field, name not in schema.get("required", [])


@register.filter
def show_json(value: object, indent: int = 2) -> str:
    """Return a value as JSON, on one line with an indent of 0."""
    return msgspec.json.format(msgspec.json.encode(value), indent=indent).decode()


@register.filter
def show_kind(schema: Schema) -> SafeString:
    """Return what values a schema allows, in a few words."""
    if name := _name(schema):
        return format_html('<a href="#schema-{}">{}</a>', name, name)
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return format_html_join(" or ", "{}", ((show_kind(choice),) for choice in choices))
    if "enum" in schema:
        values = ((show_json(value, 0),) for value in schema["enum"])
        return format_html_join(" or ", "<code>{}</code>", values)
    kind = schema.get("format") or schema.get("type", "anything")
    if kind == "array":
        kind = format_html("list of {}", show_kind(schema["items"]))
    return format_html("{}{}", kind, _show_bounds(schema))


def _name(schema: Schema) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _show_bounds(schema: Schema) -> str:
    low = next((schema[key] for key in ("minimum", "minLength") if key in schema), "")
    high = next((schema[key] for key in ("maximum", "maxLength", "maxItems") if key in schema), "")
    # The greatest number there is says nothing.
    high = "" if high == BIGINT_MAX else high
    bounds = f", {low}…{high}" if low != "" or high != "" else ""
    return bounds + (f", default {show_json(schema['default'], 0)}" if "default" in schema else "")
