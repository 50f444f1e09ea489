"""What the service answers, for `/openapi.json`; photos by the schema of `predict`'s files."""

import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from senet_landmark.export.inference.writers import SCHEMA

ERRORS = {
    400: "No photo came, the form is damaged, or the upload broke off.",
    403: "Asked by a page of another site, or under the name of another host.",
    404: "There is no model of this name.",
    408: "The photo came too slowly.",
    413: "The photo has too many bytes.",
    415: "The body is not of the type of a photo.",
    422: "The photo cannot be decoded, is animated or too large, or a parameter is not valid.",
    500: "The service failed; its log says why.",
    503: "The service is busy; `Retry-After` says in how many seconds to come again.",
}
"""Status -> when it is answered, with `{"error": message}`."""

_TEXT = {"type": "string"}
_NUMBER = {"type": "number"}
_WHOLE = {"type": "integer"}


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(properties),
        "additionalProperties": False,
        "properties": properties,
    }


_LINES = {"type": "array", "items": {"type": "array", "items": _WHOLE}}
_SCHEMAS = {
    "Error": _object(error={**_TEXT, "description": "What is wrong, and what to do."}),
    "Health": _object(status={"const": "ok"}),
    "Model": _object(
        name=_TEXT,
        scheme=_TEXT,
        points=_WHOLE,
        lines={**_LINES, "description": "Lines for drawing, as indices of their points."},
        engine=_TEXT,
        network=_TEXT,
        input=_object(width=_WHOLE, height=_WHOLE),
        licence=_TEXT,
    ),
    "Models": _object(
        default=_TEXT,
        models={"type": "array", "items": {"$ref": "#/components/schemas/Model"}},
        limits=_object(megabytes=_NUMBER, megapixels=_NUMBER),
    ),
}


def answers(name: str, *errors: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a path for FastAPI.

    Args:
      name: the schema of its answer with status 200.
      errors: statuses, of `ERRORS`, that it may answer too, beside 403 and 500.
    """
    responses: dict[int | str, dict[str, Any]] = {200: {"content": _json(name)}}
    for status in sorted({403, 500, *errors}):
        responses[status] = {"description": ERRORS[status], "content": _json("Error")}
    if 503 in responses:
        responses[503]["headers"] = {"Retry-After": {"schema": _WHOLE}}
    return responses


def _json(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}


def describe_answers(app: FastAPI) -> None:
    """Adds the schemas that `answers` names to the app's `/openapi.json`."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            text = SCHEMA.read_text(encoding="utf-8").replace("#/$defs/", "#/components/schemas/")
            made = get_openapi(title=app.title, version=app.version, routes=app.routes)
            schemas = made.setdefault("components", {}).setdefault("schemas", {})
            schemas |= json.loads(text)["$defs"] | _SCHEMAS
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # as FastAPI's documentation does
