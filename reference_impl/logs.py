"""JSON lines on stdout, each with its correlation id, none with a secret in it."""

import logging
import re
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, TextIO
from uuid import uuid4

import structlog
from structlog.typing import EventDict, Processor

_correlation: ContextVar[str] = ContextVar("correlation", default="")
_ACCEPTABLE = re.compile(r"[A-Za-z0-9_-]{8,64}")

_SENSITIVE_KEY = re.compile(
    r"(?:^|[_-])(signatures?|secrets?|authorization|cards?|pan|payload|body|password|tokens?|api_?key|dsn)(?:$|[_-])",
    re.IGNORECASE,
)
_SENSITIVE_VALUE = re.compile(
    r"""whsec_\S+                                          # a callback secret
      | \b[sr]k_(?:live|test)\w*                            # an API key
      | \btk_[a-z0-9]+_[\w-]{16,}                           # a key of ours
      | \b(?:Bearer|Basic|Digest)\s+\S+                   # a credential in a header
      | \bv\d[a-z]?[,=][A-Za-z0-9+/_-]{16,}={0,2}           # a signature: v1,… or v1=…
      | \beyJ[\w-]{8,}\.[\w.-]*                            # a JSON Web Token
      | -----BEGIN\ [^-]*PRIVATE\ KEY-----.*?(?:-----END[^-]*-----|\Z)
      | (?<=://)[^\s/@]+@                                  # user and password in a URL
      | \b(?:signature|sign|secret|password|api_?key|token)=[^\s&]+
      | \b\d(?:[ -]?\d){12,18}\b                          # a card number
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_NUMBER_MAX = 10**13
"""No amount, count or size in this service is as large; card numbers are."""
_REDACTED = "[redacted]"


def correlate(offered: str = "") -> str:
    """Make *offered* the correlation id of what happens from here on; a new one when it is not fit to be one."""
    fit = _ACCEPTABLE.fullmatch(offered) and clean(offered) == offered
    correlation = offered if fit else f"cor_{uuid4().hex}"
    _correlation.set(correlation)
    return correlation


def current_correlation() -> str:
    """The correlation id of what is happening now; empty outside of any."""
    return _correlation.get()


def redact(_logger: object, _method: str, event: EventDict) -> EventDict:
    """The one place that keeps secrets, signatures, card numbers and payloads out of the log."""
    return {key: _REDACTED if _SENSITIVE_KEY.search(key) else clean(value) for key, value in event.items()}


def clean(value: Any) -> Any:
    """*value* without what looks like a secret, at any depth; what is no plain value is rendered by its repr first."""
    if isinstance(value, bytes):
        return _REDACTED
    if isinstance(value, str):
        return _SENSITIVE_VALUE.sub(_REDACTED, value)
    if isinstance(value, Mapping):
        return redact(None, "", {str(key): item for key, item in value.items()})
    if isinstance(value, list | tuple | set):
        return [clean(item) for item in value]
    if isinstance(value, int):
        return _REDACTED if abs(value) > _NUMBER_MAX else value
    # Anything else is rendered by its repr; exceptions and settings may carry what they were given.
    return value if isinstance(value, float | None) else clean(repr(value))


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


def configure(level: str, to: TextIO | None = None) -> None:
    """Send our own lines, and those of the libraries below, through the same processors to stdout, or *to* elsewhere."""
    stream = to or sys.stdout
    structlog.configure(
        processors=[*_SHARED, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
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
