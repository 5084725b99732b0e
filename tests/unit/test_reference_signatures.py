"""Signed requests: what is taken is what was signed, all of it, lately; and no byte of it can be another."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fake_provider import acs3
from reference_impl.signatures import (
    ALGORITHM,
    Asked,
    BadSignature,
    Signatures,
    derived,
    secrets_in,
    signed_with,
)

SECRET, OLD = "s" * 32, "o" * 40
NOW = datetime(2026, 1, 1, tzinfo=UTC)
FORM = "%Y-%m-%dT%H:%M:%SZ"

signatures = Signatures(None, lambda: NOW, (SECRET, OLD))  # type: ignore[arg-type] # no nonce is spent here


def signed(
    *,
    method: str = "POST",
    path: str = "/v1/top-ups",
    query: str = "",
    body: bytes = b'{"amount_minor": 1000}',
    key: str = "till",
    at: datetime = NOW,
    secret: str = SECRET,
    more: dict[str, str] | None = None,
    leave_out: str = "",
) -> Asked:
    """What an honest client sends, written here a second time: by the documentation and not by the code under test."""
    headers = {
        "host": "topups.test",
        "x-acs-date": at.strftime(FORM),
        "x-acs-signature-nonce": "n1",
        "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
        "x-customer": "ann",
        "idempotency-key": "k1",
        "content-type": "application/json",
        **(more or {}),
    }
    names = ";".join(sorted(set(headers) - {leave_out}))
    lines = [f"{name}:{headers[name]}" for name in names.split(";")]
    text = "\n".join([method, path, query, *lines, "", names, headers["x-acs-content-sha256"]])
    signature = signed_with(derived(secret, key), text.encode())
    authorization = f"{ALGORITHM} Credential={key},SignedHeaders={names},Signature={signature}"
    return Asked(
        method=method,
        path=path,
        query=query,
        headers=[*headers.items(), ("accept", "*/*"), ("authorization", authorization)],
        body=body,
    )


def taken(asked: Asked, by: Signatures = signatures) -> str:
    """The name of the key that signed it. Raises `BadSignature`."""
    claim = by.claimed(asked)
    by.verify(claim, asked)
    return claim.key


def with_header(asked: Asked, name: str, value: str) -> Asked:
    return replace(asked, headers=[(n, value if n == name else v) for n, v in asked.headers])


def test_what_was_signed_is_taken() -> None:
    assert taken(signed()) == "till"
    assert taken(signed(method="GET", body=b"", query="account=ann-eur&b=%20&c=%C3%BC")) == "till"
    assert taken(signed(secret=OLD)) == "till"


@given(query=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=4), body=st.binary(max_size=20))
def test_the_signature_is_what_another_reading_of_the_documentation_makes(query: dict[str, str], body: bytes) -> None:
    """The provider has one of its own, and Alibaba Cloud's own client is let in by it (`tests/contract/test_acs3.py`)."""
    asked = signed(query=urlencode(query), body=body)  # written with +, signed with %20
    names = [name for name, _ in asked.headers if name not in ("accept", "authorization")]
    theirs = acs3.Asked(method=asked.method, path=asked.path, query=asked.query, headers=asked.headers, body=body)
    signature = acs3.signed_with(derived(SECRET, "till"), acs3.canonical(theirs, names))
    authorization = asked.authorization[: -len(signature)] + signature
    assert taken(with_header(asked, "authorization", authorization)) == "till"


@given(where=st.sampled_from(["method", "path", "query", "body", "header", "authorization"]), data=st.data())
def test_any_changed_byte_is_refused(where: str, data: st.DataObject) -> None:
    """Of all that says who asks, or what for. Two spellings of one query are one question."""
    honest = signed(query="account=a%20b&n=1")

    def altered(text: str) -> str:
        at = data.draw(st.integers(0, len(text) - 1))
        other = data.draw(st.characters(min_codepoint=33, max_codepoint=126))
        assume(other != text[at])
        return text[:at] + other + text[at + 1 :]

    match where:
        case "method" | "path" | "query":
            changed = replace(honest, **{where: altered(getattr(honest, where))})
            assume(where != "query" or parse_qsl(changed.query, True) != parse_qsl(honest.query, True))
        case "body":
            changed = replace(honest, body=altered(honest.body.decode()).encode())
        case "header":
            name = data.draw(
                st.sampled_from([name for name, _ in honest.headers if name not in ("accept", "authorization")])
            )
            changed = with_header(honest, name, altered(dict(honest.headers)[name]))
        case _:
            changed = with_header(honest, "authorization", altered(honest.authorization))
    with pytest.raises(BadSignature):
        taken(changed)


@pytest.mark.parametrize("name", ["host", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"])
def test_what_is_indispensable_is_there_and_signed(name: str) -> None:
    honest = signed()
    with pytest.raises(BadSignature, match=f"Send {name}") as refused:
        taken(replace(honest, headers=[(n, v) for n, v in honest.headers if n != name]))
    assert refused.value.at == name
    with pytest.raises(BadSignature, match=f"Sign {name}"):
        taken(signed(leave_out=name))


@pytest.mark.parametrize("name", ["x-customer", "idempotency-key", "content-type", "x-acs-security-token"])
def test_what_says_what_is_asked_for_is_signed_where_it_is_there(name: str) -> None:
    """Or somebody on the way could ask for another customer."""
    more = {"x-acs-security-token": "t"} if name == "x-acs-security-token" else None
    assert taken(signed(more=more)) == "till"
    with pytest.raises(BadSignature, match=f"Sign {name}"):
        taken(signed(more=more, leave_out=name))


@pytest.mark.parametrize("name", ["host", "x-acs-date", "x-customer", "authorization"])
def test_what_is_there_twice_is_refused(name: str) -> None:
    """It could be read in two ways."""
    honest = signed()
    for second in (dict(honest.headers)[name], "another"):
        for headers in ([(name, second), *honest.headers], [*honest.headers, (name, second)]):
            with pytest.raises(BadSignature):
                taken(replace(honest, headers=headers))


@pytest.mark.parametrize(("away_s", "good"), [(0, True), (900, True), (901, False), (-900, True), (-901, False)])
def test_the_window_is_closed_on_both_sides(away_s: int, good: bool) -> None:
    asked = signed(at=NOW + timedelta(seconds=away_s))
    if good:
        assert taken(asked) == "till"
    else:
        with pytest.raises(BadSignature, match="more than 15 minutes"):
            taken(asked)


@pytest.mark.parametrize(
    "date", ["", "2026-01-01", "2026-01-01T00:00:00", "2026-02-30T00:00:00Z", "２026-01-01T00:00:00Z"]
)
def test_a_date_in_another_form_is_refused(date: str) -> None:
    with pytest.raises(BadSignature, match="2026-01-01T00:00:00Z"):
        taken(signed(more={"x-acs-date": date}))


@pytest.mark.parametrize(
    "authorization",
    [
        ALGORITHM,
        f"{ALGORITHM} Credential=till",
        f"{ALGORITHM} Credential=till,SignedHeaders=host,Signature={'0' * 63}",
        f"{ALGORITHM} Credential=till,SignedHeaders=,Signature={'0' * 64}",
        f"{ALGORITHM} Credential=TILL,SignedHeaders=host,Signature={'0' * 64}",
        f"{ALGORITHM} Credential=till,SignedHeaders=host;;host,Signature={'0' * 64}",
        f"ACS3-HMAC-SM3 Credential=till,SignedHeaders=host,Signature={'0' * 64}",
    ],
)
def test_what_does_not_read_is_refused(authorization: str) -> None:
    with pytest.raises(BadSignature):
        taken(with_header(signed(), "authorization", authorization))


def test_a_key_signs_for_itself_alone() -> None:
    """Nobody's secret is another's; and without any secret of the service nobody's signature is good."""
    honest = signed()
    other = with_header(honest, "authorization", honest.authorization.replace("Credential=till", "Credential=eve"))
    with pytest.raises(BadSignature, match="not this request's"):
        taken(other)
    assert derived(SECRET, "till") != derived(SECRET, "eve")
    with pytest.raises(BadSignature, match="not this request's"):
        taken(honest, Signatures(None, lambda: NOW, ()))  # type: ignore[arg-type]
    with pytest.raises(BadSignature, match="not this request's"):
        taken(signed(secret="another secret, that is long enough"))


def test_a_query_that_is_no_text_is_refused() -> None:
    """Two of them would read the same."""
    with pytest.raises(BadSignature, match="UTF-8"):
        taken(signed(query="a=%FF"))


def test_a_short_secret_is_refused() -> None:
    assert secrets_in("") == ()
    assert secrets_in(f"{SECRET} {OLD}") == (SECRET, OLD)
    with pytest.raises(ValueError, match="at least 32") as refused:
        secrets_in(f"{SECRET} tooShort")
    assert "tooShort" not in str(refused.value)
