"""An answer as HTTP."""

from fastapi.responses import JSONResponse, PlainTextResponse, Response

from reference_impl.answers import Answer


def respond(answer: Answer) -> Response:
    """An answer as HTTP."""
    if answer.text is not None:
        return PlainTextResponse(answer.text, status_code=answer.status, headers=dict(answer.headers))
    if answer.body is None:
        return Response(status_code=answer.status, headers=dict(answer.headers))
    return JSONResponse(dict(answer.body), status_code=answer.status, headers=dict(answer.headers))
