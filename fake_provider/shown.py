"""Deliveries and what is ahead, as the control API shows them."""

from typing import Any

from fake_provider.agenda import Deed
from fake_provider.archive import Attempt
from fake_provider.clock import iso
from fake_provider.dialects import Answer, Wire
from fake_provider.shipments import Callback


def attempt_object(attempt: Attempt) -> dict[str, Any]:
    """One delivery: the request as it left, the answer, and both verdicts on it."""
    record = attempt.record
    return {
        "id": attempt.id,
        "payment": record.payment,
        "event": record.event,
        "attempt": record.attempt,
        "copy": record.copy,
        "mood": record.mood,
        "forgery": record.forgery,
        "at": iso(attempt.at),
        "request": _message(attempt.wire),
        "answer": None if attempt.answer is None else _answer(attempt.answer),
        "is_ack": attempt.is_ack,
        "acknowledged": attempt.acknowledged,
        "because": attempt.because,
    }


def waiting_object(callback: Callback) -> dict[str, Any]:
    """An attempt that is to come."""
    notice = callback.notice
    return {
        "payment": notice.payment,
        "what": f"{notice.type}, attempt {callback.attempt}",
        "due": iso(callback.due),
        "mood": callback.made_by,
    }


def deed_object(deed: Deed) -> dict[str, Any]:
    """Something that the bank is going to do."""
    return {"payment": deed.payment, "what": deed.what, "due": iso(deed.due), "mood": deed.by}


def _message(wire: Wire) -> dict[str, Any]:
    return {"url": wire.url, "headers": _headers(wire.headers), "body": wire.body.decode("utf-8", "replace")}


def _answer(answer: Answer) -> dict[str, Any]:
    body = answer.body.decode("utf-8", "replace")
    return {"status": answer.status, "took_s": answer.took_s, "headers": _headers(answer.headers), "body": body}


def _headers(headers: tuple[tuple[str, bytes], ...]) -> list[list[str]]:
    return [[name, value.decode("latin-1")] for name, value in headers]
