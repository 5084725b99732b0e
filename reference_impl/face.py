"""The HTTP face behind a key, whole: the routes of customers and operators, and what is said where none of them can answer."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from reference_impl import operators, routes
from reference_impl.answers import Answer, Problem, problem, unavailable
from reference_impl.database import DATABASE_ERRORS
from reference_impl.document import Face, allowed
from reference_impl.responses import respond

# As they are, and not by way of `include_router`, which makes each of them anew when the first request comes.
ROUTES = (*routes.router.routes, *operators.router.routes)


def face() -> FastAPI:
    """An application of their own for the routes. Whoever mounts it sets `state.service`."""
    api = Face(title="Top-ups", docs_url=None, redoc_url=None, routes=[*ROUTES])
    api.add_exception_handler(Problem, on_problem)
    api.add_exception_handler(RequestValidationError, on_invalid)
    api.add_exception_handler(HTTPException, on_http)
    for kind in DATABASE_ERRORS:
        api.add_exception_handler(kind, on_unavailable)
    return api


async def on_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return respond(error.answer)


async def on_invalid(_request: Request, error: Exception) -> Response:
    """Name the first field that is wrong, and what would be right. Never the value: it may be a secret misplaced."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"][1:]) or "body"
    return respond(Answer(400, problem("invalid", first["msg"], field)))


async def on_http(request: Request, error: Exception) -> Response:
    """What the framework refuses by itself, in our words: a path that there is not, a method that it does not have."""
    assert isinstance(error, HTTPException)
    if error.status_code != 405:
        return respond(Answer(error.status_code, problem("refused", str(error.detail))))
    methods = ", ".join(allowed(ROUTES, request.url.path))
    return respond(Answer(405, problem("method_not_allowed", f"Here there is: {methods}."), {"Allow": methods}))


async def on_unavailable(_request: Request, _error: Exception) -> Response:
    return respond(unavailable())
