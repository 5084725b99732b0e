"""What the OpenAPI document says beside what the framework reads off the routes: every refusal, and how it looks."""

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.routing import BaseRoute


class Wrong(BaseModel):
    """What is wrong, in which field, and the remedy."""

    code: str
    message: str
    field: str | None = None


class Refusal(BaseModel):
    """The body of every error."""

    error: Wrong


REFUSED: Mapping[int | str, dict[str, Any]] = {
    status: {"model": Refusal, "description": says}
    for status, says in {
        400: "A field is wrong, and is named.",
        401: "No key, or none that is known.",
        403: "The key is not good for this, or the person is not the one for it.",
        404: "There is no such thing, or it is somebody else's.",
        405: "Another method is meant.",
        408: "The body took too long.",
        409: "It stands in the way of something else, or the first request is still running.",
        413: "The body is too large.",
        422: "Understood, and not to be done: the key stands for another request, or there is nothing left to do.",
        503: "The database cannot be reached. Send the same again.",
    }.items()
}
CREATED: Mapping[int | str, dict[str, Any]] = {
    201: {"description": "Done."},
    202: {"description": "Taken, and not decided yet."},
}
DECLINED: Mapping[int | str, dict[str, Any]] = {402: {"description": "The provider declined, for good."}}


class Face(FastAPI):
    """Says of the key what the default custom asks: it is optional only where `IDEMPOTENCY_PROFILE` makes it so."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        schema = super().openapi()
        for operations in schema["paths"].values():
            for operation in operations.values():
                for parameter in operation.get("parameters", ()):
                    if parameter["name"] == "Idempotency-Key":
                        parameter["required"] = True
        return schema


def allowed(routes: Iterable[BaseRoute], path: str) -> list[str]:
    """The methods that there are at *path*, however many routes have them (RFC 9110, section 10.2.1)."""
    found = [route for route in routes if isinstance(route, APIRoute) and route.path_regex.match(path)]
    return sorted({method for route in found for method in route.methods or ()})
