"""JSON lines on stdout, each with its correlation id, none with a secret in it."""

import logging
import re
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any
from uuid import uuid4

import structlog
from structlog.typing import EventDict, Processor

_correlation: ContextVar[str] = ContextVar("correlation", default="")
_ACCEPTABLE = re.compile(r"[A-Za-z0-9_-]{8,64}")

_SENSITIVE_KEY = re.compile(
    r"(?:^|[_-])(signatures?|secrets?|authorization|cards?|pan|payload|body|password|tokens?|api_?key|dsn)(?:$|[_-])",
    re.IGNORECASE,
)
_SENSITIVE_VALUE = re.compile(r"whsec_\S+|Bearer\s+\S+|\b\d(?:[ -]?\d){12,18}\b")
_REDACTED = "[redacted]"


def correlate(offered: str = "") -> str:
    """Make *offered* the correlation id of what happens from here on; a new one when it is not fit to be one."""
    correlation = offered if _ACCEPTABLE.fullmatch(offered) else f"cor_{uuid4().hex}"
    _correlation.set(correlation)
    return correlation


def current_correlation() -> str:
    """The correlation id of what is happening now; empty outside of any."""
    return _correlation.get()


def redact(_logger: object, _method: str, event: EventDict) -> EventDict:
    """The one place that keeps secrets, signatures, card numbers and payloads out of the log."""
    return {key: _REDACTED if _SENSITIVE_KEY.search(key) else _clean(value) for key, value in event.items()}


def _clean(value: Any) -> Any:
    if isinstance(value, bytes):
        return _REDACTED
    if isinstance(value, str):
        return _SENSITIVE_VALUE.sub(_REDACTED, value)
    if isinstance(value, Mapping):
        return redact(None, "", {str(key): item for key, item in value.items()})
    if isinstance(value, list | tuple | set):
        return [_clean(item) for item in value]
    # Anything else is rendered by its repr; exceptions and settings may carry what they were given.
    return value if isinstance(value, int | float | None) else _clean(repr(value))


def _add_correlation(_logger: object, _method: str, event: EventDict) -> EventDict:
    if correlation := _correlation.get():
        event["correlation"] = correlation
    return event


_SHARED: list[Processor] = [
    _add_correlation,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    redact,
]


def configure(level: str) -> None:
    """Send our own lines, and those of the libraries below, through the same processors to stdout."""
    structlog.configure(
        processors=[*_SHARED, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
