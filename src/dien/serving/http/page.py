"""The page of the routes, made of the OpenAPI description; it loads nothing, so that it needs no network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from litestar import Request
from litestar.openapi.plugins import OpenAPIRenderPlugin

_STYLE = """
:root { color-scheme: light dark; }
body { margin: 0 auto; padding: 2rem 1.5rem; max-width: 62rem; font: 15px/1.5 system-ui, sans-serif; }
h2 { margin: 2.4rem 0 .3rem; font-size: 1.1rem; }
code, h2 { overflow-wrap: anywhere; }
p { white-space: pre-line; margin: .3rem 0; }
table { border-collapse: collapse; margin: .5rem 0; }
th, td { padding: .2rem 1rem .2rem 0; border-bottom: 1px solid #8885; text-align: left; vertical-align: top; }
"""


class Page(OpenAPIRenderPlugin):
    """Every route with its headers, its body and its answers, and every structure with its fields."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Make the page."""
        about, plain = openapi_schema["info"], escape(self.get_openapi_json_route(request))
        parts = [
            f"<h1>{escape(about['title'])} {escape(about['version'])}</h1>",
            f"<p>{escape(about['description'])} <a href='{plain}'>As OpenAPI</a></p>",
        ]
        for path, routes in openapi_schema["paths"].items():
            for method, route in routes.items():
                parts += _route(f"{method.upper()} {path}", route)
        for name, schema in sorted(openapi_schema["components"]["schemas"].items()):
            parts += _structure(name, schema)
        head = f"<meta charset='utf-8'><title>{escape(about['title'])}</title><style>{_STYLE}</style>"
        body = "".join(parts)
        return f"<!DOCTYPE html><html lang='en'><head>{head}</head><body>{body}</body></html>".encode()


def _route(name: str, route: Mapping[str, Any]) -> Iterable[str]:
    yield f"<h2>{escape(name)}</h2><p>{escape(route.get('description') or '')}</p>"
    found = [
        (f"{one['in']} <code>{escape(one['name'])}</code>", _type(one["schema"]), one.get("description"))
        for one in route.get("parameters", ())
    ]
    if (body := route.get("requestBody")) is not None:
        found.append(("body", _content(body), None))
    for status, answer in route["responses"].items():
        found.append((f"answer {escape(status)}", _content(answer), answer.get("description")))
    yield _table(found)


def _structure(name: str, schema: Mapping[str, Any]) -> Iterable[str]:
    yield f"<h2 id='{escape(name)}'>{escape(name)}</h2><p>{escape(schema.get('description') or '')}</p>"
    required = schema.get("required", ())
    yield _table(
        (f"<code>{escape(field)}</code>", _type(of_field), "required" if field in required else None)
        for field, of_field in schema.get("properties", {}).items()
    )


def _table(rows: Iterable[tuple[str, str, str | None]]) -> str:
    """Make a table of rows, of which the last column is text and the others are HTML already."""
    cells = (
        f"<tr><td>{what}</td><td>{kind}</td><td>{escape(text or '')}</td></tr>" for what, kind, text in rows
    )
    return f"<table>{''.join(cells)}</table>"


def _content(of: Mapping[str, Any]) -> str:
    return ", ".join(_type(found["schema"]) for found in of.get("content", {}).values() if "schema" in found)


def _type(schema: Mapping[str, Any]) -> str:
    """Write a type in short, with links to the structures."""
    if (reference := schema.get("$ref")) is not None:
        name = escape(reference.rpartition("/")[2])
        return f"<a href='#{name}'>{name}</a>"
    if (several := schema.get("oneOf") or schema.get("anyOf")) is not None:
        return " or ".join(map(_type, several))
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"object of {_type(schema['additionalProperties'])}"
    return escape(" or ".join(kind) if isinstance(kind, list) else kind)
