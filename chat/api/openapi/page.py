"""The OpenAPI document as one HTML page, made on the server: no script, no font, no other address.

The template chat/templates/chat/docs.html has the page; this module prepares what it shows.
"""

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import msgspec
from django.template.loader import render_to_string
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from chat.conf import BIGINT_MAX

Schema = dict[str, Any]

# Where `make up` and the compose file serve the API.
ORIGIN = "http://localhost:9000"
_STYLE = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def render_page(document: Schema) -> str:
    """Return the page of an OpenAPI document; everything of the document is escaped."""
    info, schemas = document["info"], document["components"]["schemas"]
    return render_to_string(
        "chat/docs.html",
        {
            "title": info["title"],
            "version": info["version"],
            "description": _prose(info["description"]),
            "style": mark_safe(_STYLE),  # noqa: S308 - a file of this package
            "groups": [_show_group(document, tag) for tag in document["tags"]],
            "schemas": [_show_schema(name, schema) for name, schema in sorted(schemas.items())],
        },
    )


def _show_group(document: Schema, tag: Schema) -> Schema:
    return {
        "name": tag["name"],
        "description": _prose(tag["description"]),
        "operations": [
            _show_operation(document, address, method, operation)
            for address, item in document["paths"].items()
            for method, operation in item.items()
            if tag["name"] in operation["tags"]
        ],
    }


def _show_operation(document: Schema, address: str, method: str, operation: Schema) -> Schema:
    responses, body = operation["responses"], operation.get("requestBody")
    who = "no token" if not operation["security"] else "user"
    shown = {
        status: {"status": status, "description": _inline(answer["description"])}
        for status, answer in responses.items()
    }
    own = {status for status, answer in responses.items() if _is_own(answer)}
    return {
        "id": operation["operationId"],
        "name": operation["operationId"].replace("_", " "),
        "method": method,
        "address": address,
        "path": mark_safe(re.sub(r"(\{\w+\})", r"<var>\1</var>", escape(address))),  # noqa: S308 - escaped here
        "who": "service" if "403" in responses else who,
        "summary": _inline(operation["summary"]),
        "description": _prose(operation["description"]),
        "parameters": [
            {
                "name": parameter["name"],
                "kind": _type(parameter["schema"]),
                "need": "required" if parameter["required"] else "optional",
                "place": parameter["in"],
                "description": _inline(parameter.get("description", "")),
            }
            for parameter in operation["parameters"]
        ],
        "takes": _type(_read_content(body)["schema"]) if body else "",
        "command": _write_command(address, method, operation),
        "answers": [
            shown[status] | _show_answer(document, responses[status])
            for status in shown
            if status in own
        ],
        "problems": [shown[status] for status in shown if status not in own],
    }


def _is_own(answer: Schema) -> bool:
    return "application/problem+json" not in answer.get("content", {})


def _read_content(body: Schema) -> Schema:
    (content,) = body["content"].values()
    return dict(content)


def _show_answer(document: Schema, answer: Schema) -> Schema:
    if "content" not in answer:
        return {}
    schema = _read_content(answer)["schema"]
    name = schema.get("$ref", "").rpartition("/")[2]
    examples = document["components"]["schemas"].get(name, {}).get("examples", [])
    return {"gives": _type(schema), "examples": [_json(example) for example in examples]}


def _write_command(address: str, method: str, operation: Schema) -> str:
    """Return the request as a command to copy."""
    for parameter in operation["parameters"]:
        address = address.replace("{" + parameter["name"] + "}", str(parameter.get("example", "")))
    examples = [
        f"{parameter['name']}={parameter['example']}"
        for parameter in operation["parameters"]
        if parameter["in"] == "query" and "example" in parameter
    ]
    url = ORIGIN + address + ("?" if examples else "") + "&".join(examples)
    lines = ["curl " + (f"-X {method.upper()} " if method != "get" else "") + f"'{url}'"]
    if operation["security"]:
        lines.append('-H "Authorization: Bearer $TOKEN"')
    if body := operation.get("requestBody"):
        example = _json(_read_content(body)["example"], 0)
        lines += ["-H 'Content-Type: application/json'", f"-d '{example}'"]
    return " \\\n  ".join(lines)


def _show_schema(name: str, schema: Schema) -> Schema:
    required = schema.get("required", [])
    return {
        "name": name,
        "description": _prose(schema.get("description", "")),
        "choice": _type(schema) if "oneOf" in schema else "",
        "fields": [
            {"name": field, "kind": _type(kind), "is_optional": field not in required}
            for field, kind in schema.get("properties", {}).items()
        ],
    }


def _type(schema: Schema) -> SafeString:
    """Return what values a schema allows, in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return format_html('<a href="#schema-{}">{}</a>', name, name)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return format_html_join(" or ", "{}", ((_type(choice),) for choice in schema[word]))
    if "enum" in schema:
        values = ((_json(value, 0),) for value in schema["enum"])
        return format_html_join(" or ", "<code>{}</code>", values)
    if schema.get("type") == "array":
        return format_html("list of {}{}", _type(schema["items"]), _bounds(schema))
    return format_html(
        "{}{}", schema.get("format") or schema.get("type", "anything"), _bounds(schema)
    )


def _bounds(schema: Schema) -> str:
    low = next((schema[key] for key in ("minimum", "minLength") if key in schema), "")
    high = next((schema[key] for key in ("maximum", "maxLength", "maxItems") if key in schema), "")
    # The greatest number there is says nothing.
    high = "" if high == BIGINT_MAX else high
    bounds = f", {low}…{high}" if low != "" or high != "" else ""
    return bounds + (f", default {_json(schema['default'], 0)}" if "default" in schema else "")


def _json(value: object, indent: int = 2) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=indent).decode()


def _prose(text: str) -> SafeString:
    parts = (part for part in text.strip().split("\n\n") if part)
    return format_html_join("", "<p>{}</p>", ((_inline(part),) for part in parts))


def _inline(text: str) -> SafeString:
    return mark_safe(re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text)))  # noqa: S308 - escaped here
