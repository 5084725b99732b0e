"""What every part of the API does alike: read parameters, and answer with an object or with a page of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fake_provider.apis.stripe import objects
from fake_provider.apis.stripe.errors import invalid, no_such
from fake_provider.apis.stripe.forms import Asked, parse
from fake_provider.asking import raw_body

PAGE = 10
LARGEST_PAGE = 100


async def asked_in_body(request: Request) -> Asked:
    """The parameters of a POST."""
    return Asked(parse((await raw_body(request)).decode("utf-8", "replace")))


def asked_in_query(request: Request) -> Asked:
    return Asked(parse(request.url.query))


def answer(body: Mapping[str, Any]) -> Response:
    return JSONResponse(dict(body))


def page(request: Request, asked: Asked, found: Sequence[Mapping[str, Any]]) -> Response:
    """The page that was asked for of what was *found*, which is in the order of a list."""
    limit = asked.whole("limit", PAGE, LARGEST_PAGE)
    after, before = asked.text("starting_after", ""), asked.text("ending_before", "")
    asked.done()
    if after and before:
        raise invalid("starting_after", "give starting_after or ending_before, not both")
    ids = [one["id"] for one in found]
    for param, cursor in (("starting_after", after), ("ending_before", before)):
        if cursor and cursor not in ids:
            raise no_such("object", cursor, param)
    if before:
        rest = found[: ids.index(before)]
        return answer(objects.page(request.url.path, rest[-limit:], len(rest) > limit))
    rest = found[ids.index(after) + 1 :] if after else found
    return answer(objects.page(request.url.path, rest[:limit], len(rest) > limit))
