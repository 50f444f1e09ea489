"""Whether a value is as the JSON Schema of the results says."""

import json

import jsonschema

from senet_landmark.export.inference.writers import SCHEMA


def check_results(value) -> None:
    """Fails if it is no `landmarks.json`, line of `landmarks.jsonl` or answer of the service."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(value, schema, jsonschema.Draft202012Validator)
