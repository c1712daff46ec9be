"""The document as one HTML page, written on the server: no script, no font, no other address."""

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import Any

import msgspec

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
    title = f"{escape(info['title'])} API"
    return "".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title><style>{_STYLE}</style></head><body>",
            f'<nav aria-label="Contents"><h1><a href="#top">{title}</a></h1>',
            *_render_contents(document),
            '</nav><main id="top"><header>',
            f"<h1>{title} <small>{escape(info['version'])}</small></h1>",
            _prose(info["description"]),
            '<p><a href="../schema/">The OpenAPI document</a> this page is made from.</p></header>',
            *_render_groups(document),
            '<section><h2 id="schemas">Schemas</h2>',
            *(_render_schema(name, schema) for name, schema in sorted(schemas.items())),
            "</section></main></body></html>",
        ]
    )


def _find_operations(document: Schema, tag: str) -> Iterator[tuple[str, str, Schema]]:
    """Give address, method and operation of what belongs to a tag."""
    for address, item in document["paths"].items():
        for method, operation in item.items():
            if tag in operation["tags"]:
                yield address, method, operation


def _render_contents(document: Schema) -> Iterator[str]:
    for tag in document["tags"]:
        yield f'<h2><a href="#{escape(tag["name"])}">{escape(tag["name"])}</a></h2><ul>'
        for address, method, operation in _find_operations(document, tag["name"]):
            yield (
                f'<li><a href="#{escape(operation["operationId"])}" '
                f'title="{method.upper()} {escape(address)}">{_method(method)} '
                f"{escape(operation['operationId'].replace('_', ' '))}</a></li>"
            )
        yield "</ul>"
    yield '<h2><a href="#schemas">schemas</a></h2>'


def _render_groups(document: Schema) -> Iterator[str]:
    for tag in document["tags"]:
        yield f'<section><h2 id="{escape(tag["name"])}">{escape(tag["name"]).capitalize()}</h2>'
        yield _prose(tag["description"])
        for address, method, operation in _find_operations(document, tag["name"]):
            yield _render_operation(document, address, method, operation)
        yield "</section>"


def _render_operation(document: Schema, address: str, method: str, operation: Schema) -> str:
    name, responses = operation["operationId"], operation["responses"]
    who = "no token" if not operation["security"] else "user"
    who = "service" if "403" in responses else who
    path = re.sub(r"(\{\w+\})", r"<var>\1</var>", escape(address))
    return "".join(
        [
            f'<article id="{escape(name)}"><h3>{_method(method)} <code>{path}</code>',
            f'<span class="who">{who}</span></h3>',
            f'<p class="summary">{_inline(operation["summary"])}.</p>',
            _prose(operation["description"]),
            _table("Parameters", (_render_parameter(row) for row in operation["parameters"])),
            _render_call(address, method, operation),
            *(
                _render_answer(document, *answer)
                for answer in responses.items()
                if _is_own(answer[1])
            ),
            _table(
                "Problems",
                (
                    f"<td><b>{escape(status)}</b></td><td>{_inline(answer['description'])}</td>"
                    for status, answer in responses.items()
                    if not _is_own(answer)
                ),
            ),
            "</article>",
        ]
    )


def _is_own(answer: Schema) -> bool:
    return "application/problem+json" not in answer.get("content", {})


def _render_parameter(parameter: Schema) -> str:
    need = "required" if parameter["required"] else "optional"
    return (
        f"<td><code>{escape(parameter['name'])}</code></td>"
        f"<td>{_type(parameter['schema'])}<br><small>{need}, in the {parameter['in']}</small></td>"
        f"<td>{_inline(parameter.get('description', ''))}</td>"
    )


def _render_call(address: str, method: str, operation: Schema) -> str:
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
    taken = ""
    if body := operation.get("requestBody"):
        (content,) = body["content"].values()
        lines += ["-H 'Content-Type: application/json'", f"-d '{_json(content['example'], 0)}'"]
        taken = f"<p>Takes {_type(content['schema'])}.</p>"
    command = " \\\n  ".join(lines)
    return f"{taken}<pre>{escape(command)}</pre>"


def _render_answer(document: Schema, status: str, answer: Schema) -> str:
    text = f"<h4><b>{escape(status)}</b> {_inline(answer['description'])}</h4>"
    for content in answer.get("content", {}).values():
        reference = content["schema"].get("$ref", "").rpartition("/")[2]
        text += f"<p>Gives {_type(content['schema'])}.</p>"
        for example in document["components"]["schemas"].get(reference, {}).get("examples", []):
            text += (
                f"<details><summary>Example</summary><pre>{escape(_json(example))}</pre></details>"
            )
    return text


def _render_schema(name: str, schema: Schema) -> str:
    required = schema.get("required", [])
    rows = (
        f"<td><code>{escape(field)}</code></td><td>{_type(kind)}</td>"
        f"<td>{'' if field in required else '<small>optional</small>'}</td>"
        for field, kind in schema.get("properties", {}).items()
    )
    choice = f"<p>{_type(schema)}</p>" if "oneOf" in schema else ""
    about = _prose(schema.get("description", ""))
    return (
        f'<article id="schema-{escape(name)}"><h3>{escape(name)}</h3>{about}{choice}'
        f"{_table('Fields', rows)}</article>"
    )


def _type(schema: Schema) -> str:
    """Return what a schema says, in a few words."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return " or ".join(_type(choice) for choice in schema[word])
    if "enum" in schema:
        return " or ".join(f"<code>{escape(_json(value, 0))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}{_bounds(schema)}"
    kind = schema.get("format") or schema.get("type", "anything")
    return escape(str(kind)) + _bounds(schema)


def _bounds(schema: Schema) -> str:
    low = next((schema[key] for key in ("minimum", "minLength") if key in schema), "")
    high = next((schema[key] for key in ("maximum", "maxLength", "maxItems") if key in schema), "")
    # The end of the number line is no news.
    high = "" if high == BIGINT_MAX else high
    bounds = f", {low}…{high}" if low != "" or high != "" else ""
    return bounds + (
        f", default {escape(_json(schema['default'], 0))}" if "default" in schema else ""
    )


def _method(method: str) -> str:
    return f'<span class="method {method}">{method.upper()}</span>'


def _table(title: str, rows: Iterable[str]) -> str:
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    opened = "" if title == "Problems" else " open"
    return (
        f"<details{opened}><summary>{title}</summary><table>{body}</table></details>"
        if body
        else ""
    )


def _json(value: object, indent: int = 2) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=indent).decode()


def _prose(text: str) -> str:
    return "".join(f"<p>{_inline(part)}</p>" for part in text.strip().split("\n\n") if part)


def _inline(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))
