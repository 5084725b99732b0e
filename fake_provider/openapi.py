"""The APIs described in OpenAPI 3.1: their routes and first sentences as they are, and what their bodies hold."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from fake_provider.asking import Endpoint

Route: TypeAlias = tuple[str, str, Endpoint]
Schema: TypeAlias = dict[str, Any]

TEXT: Schema = {"type": "string", "minLength": 1, "maxLength": 200}
KEY: Schema = {"type": "string", "minLength": 1, "maxLength": 8192}
MINOR: Schema = {"type": "integer", "minimum": 1, "description": "minor units of the currency"}
SECONDS: Schema = {"type": "number", "minimum": 0}
OBJECT: Schema = {"type": "object"}
AMOUNT = {"amount_minor": MINOR}
ORDER = {
    "reference": TEXT,
    "amount_minor": MINOR,
    "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
    "account": TEXT,
    "merchant": TEXT,
    "method": {"enum": ["card", "redirect", "bad-card"]},
}
AGAIN: Mapping[str, Schema] = {
    "how": {"enum": ["resend", "replay", "at-once"]},
    "copies": {"type": "integer", "minimum": 1, "maximum": 100},
}

# What each route's body holds; what is not listed as required may be left out.
BODIES: Mapping[str, tuple[Mapping[str, Schema], Sequence[str]]] = {
    "/v1/payments": (ORDER, list(ORDER)),
    "/v1/payments/{id}/refunds": (AMOUNT, ["amount_minor"]),
    "/control/payments/{id}/pay": ({"captured_minor": MINOR}, []),
    "/control/payments/{id}/refund": (AMOUNT, []),
    "/control/payments/{id}/dispute": (AMOUNT, []),
    "/control/moods": ({"mood": TEXT, "args": OBJECT}, ["mood"]),
    "/control/forge": ({"forgery": TEXT, "payment": TEXT, "args": OBJECT}, ["forgery", "payment"]),
    "/control/deliveries/{id}/send": (AGAIN, ["how"]),
    "/control/keys/rotate": ({"overlap_s": SECONDS, "key": KEY}, ["overlap_s"]),
    "/control/clock/advance": ({"seconds": SECONDS}, ["seconds"]),
    "/control/clock/play-out": ({"within_s": SECONDS}, []),
}
QUERIES: Mapping[str, tuple[str, Schema, bool]] = {
    "/v1/payments": ("reference", TEXT, True),
    "/v1/reversals": ("after", {"type": "integer", "minimum": 0}, False),
    "/control/journal": ("after", {"type": "integer", "minimum": 0}, False),
}


def document(business: Sequence[Route], control: Sequence[Route], gateway: Sequence[Route] = ()) -> dict[str, Any]:
    """The description. Every route is in it; each is told in its endpoint's first sentence."""
    paths: dict[str, dict[str, Any]] = {}
    for prefix, routes in (("/v1", business), ("/control", control), ("", gateway)):
        for method, path, run in routes:
            whole = prefix + path
            paths.setdefault(whole, {})[method.lower()] = _operation(method, whole, run)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "The fake provider",
            "version": "1",
            "description": "`/v1` is what merchants use, `/control` what runs the experiment. Errors are `{error}`. Forms of `/v1` "
            "are Stripe's, and `/gateway.do` is Alipay's: their own documentation describes them.",
        },
        "paths": paths,
        "components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
    }


def _operation(method: str, path: str, run: Endpoint) -> dict[str, Any]:
    summary = (run.__doc__ or "").strip().splitlines()[0]
    tag = path.split("/")[1]
    found: dict[str, Any] = {"tags": [tag], "summary": summary, "parameters": _parameters(method, path)}
    if method == "POST" and path in BODIES:
        properties, required = BODIES[path]
        schema = {"type": "object", "properties": dict(properties), "required": list(required)}
        found["requestBody"] = {"required": bool(required), "content": {"application/json": {"schema": schema}}}
    elif method == "POST" and tag != "control":
        found["requestBody"] = {"content": {"application/x-www-form-urlencoded": {"schema": OBJECT}}}
    if tag == "v1":
        found["security"] = [{"key": []}]
    found["responses"] = {"2XX": {"description": "done"}, "4XX": {"description": "refused; says which field and why"}}
    return found


def _parameters(method: str, path: str) -> list[dict[str, Any]]:
    found = []
    if "{id}" in path:
        found.append({"name": "id", "in": "path", "required": True, "schema": TEXT})
    if method == "GET" and path in QUERIES:
        name, schema, required = QUERIES[path]
        found.append({"name": name, "in": "query", "required": required, "schema": schema})
    if method == "POST" and path.startswith("/v1"):
        found.append({"name": "Idempotency-Key", "in": "header", "required": path in BODIES, "schema": TEXT})
    return found
