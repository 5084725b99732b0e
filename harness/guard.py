"""What a configuration points at: credentials, endpoints, databases, environments. What looks like production, or is mixed,
is refused before anything starts.

A target's service inherits the environment of whoever runs the harness, so a variable that somebody exported long ago may lead
it out of the stack. What stands in the target is read strictly: every address must be of this machine, or be allowed by
`allow_hosts`. What is inherited is read by what it is: a live key, a database, a payment provider; a shell has other addresses
in it that are no business of a top-up service. Nothing is resolved and nothing is asked: what a name stands for is not known.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Literal, TypeAlias
from urllib.parse import SplitResult, urlsplit

from harness.target import PRODUCTION, Target, TargetError

Kind: TypeAlias = Literal["credential", "endpoint", "database", "environment"]
Side: TypeAlias = Literal["here", "test", "live", "elsewhere", "not known"]

# Prefixes by which providers tell the keys of the two environments apart: docs.stripe.com/keys,
# developer.paddle.com/api-reference/about/api-keys, razorpay.com/docs/payments/dashboard/account-settings/api-keys,
# docs.mollie.com/docs/authentication, docs.xendit.co/docs/api-keys, developer.paypal.com/braintree/docs/guides/authorization,
# developer.squareup.com/docs/build-basics/access-tokens.
LIVE_KEY = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:sk|rk|pk)_live_|rzp_live_|pdl_live_|live_[A-Za-z0-9]{20}|xnd_(?:public_)?production_|access_token\$production\$"
    r"|(?<!sandbox-)sq0[a-z]{3}-)"
)
TEST_KEY = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:sk|rk|pk)_test_|rzp_test_|pdl_sdbx_|test_[A-Za-z0-9]{20}|xnd_(?:public_)?development_|access_token\$sandbox\$"
    r"|sandbox-sq0)"
)

# Hosts behind which money is real. Stripe has one for both environments: there the key decides.
LIVE_HOSTS = frozenset(
    {
        "api.mch.weixin.qq.com",
        "api-m.paypal.com",
        "api.paddle.com",
        "api.paypal.com",
        "checkout-live.adyen.com",
        "connect.squareup.com",
        "openapi.alipay.com",
    }
)
TEST_HOSTS = frozenset(
    {
        "api-m.sandbox.paypal.com",
        "checkout-test.adyen.com",
        "connect.squareupsandbox.com",
        "openapi-sandbox.dl.alipaydev.com",
        "sandbox-api.paddle.com",
    }
)
PROVIDERS = LIVE_HOSTS | TEST_HOSTS | {"api.stripe.com", "api.razorpay.com", "api.mollie.com", "api.xendit.co"}

DATABASES = (
    *("postgres", "postgresql", "mysql", "mariadb", "mongodb", "redis", "rediss"),
    *("amqp", "amqps", "mssql", "sqlserver", "oracle", "cockroachdb"),
)
DATABASE_HOST = re.compile(r"(?:^PG|^MYSQL_?|^POSTGRES_?|^REDIS_?|^DB_?|DATABASE_?)HOST(?:ADDR)?$")
DATABASE_NAME = re.compile(r"^(?:PGDATABASE|(?:DB|DATABASE|POSTGRES|MYSQL)_?(?:DB|NAME|DATABASE))$")
# NODE_ENV is not among them: `production` says there how a program was built.
ENVIRONMENT = re.compile(
    r"^(?:[A-Z0-9]+_)*ENVIRONMENT$|^(?:APP|DEPLOY|RAILS|RACK|DJANGO|FLASK|GO|SERVICE|SITE)_ENV$|^ENV$|^STAGE$"
    r"|^SPRING_PROFILES_ACTIVE$"
)
SECRET = re.compile(r"SECRET|TOKEN|PASSWORD|PASSWD|API_?KEY|PRIVATE_?KEY|CREDENTIAL", re.IGNORECASE)
# Variables of a shell by which a service would find whoever takes its payments, or its own parts.
PAYING = re.compile(
    r"PROVIDER|PAYMENT|(?<![A-Z])PAY_|PSP|TOP_?UP|LEDGER|WALLET|CALLBACK|WEBHOOK|STRIPE|ADYEN|ALIPAY|WECHAT|SQUARE|PADDLE|PAYPAL"
)
FOR_TESTS = re.compile(
    r"(?<![a-z])(?:test(?:ing)?|sandbox|stag(?:e|ing)|chaos|dev(?:elopment)?|local|ci|qa)(?![a-z])", re.IGNORECASE
)
URL = re.compile(r"(?<![A-Za-z0-9+.-])(?:jdbc:)?([A-Za-z][A-Za-z0-9+.-]*)://[^\s\"'<>]+")
PLACEHOLDER = re.compile(r"\{(\w+)\}")
HERE: Mapping[str, Kind] = {
    "db": "database",
    "api": "endpoint",
    "api_key": "credential",
    "secret": "credential",
    "environment": "environment",
}
"""What the stack fills in, all of it its own."""


@dataclass(frozen=True, slots=True)
class Pointed:
    """One thing that a field points at. `shown` gives no secret away. `why` and `remedy` are empty where nothing is wrong."""

    field: str
    kind: Kind
    shown: str
    side: Side
    why: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.field}: {self.shown} {self.why}: {self.remedy}" if self.why else f"{self.field}: {self.shown}"


@dataclass(frozen=True, slots=True)
class Inspection:
    """Everything that was found, in the order of its fields."""

    pointed: tuple[Pointed, ...]

    @property
    def refused(self) -> Sequence[Pointed]:
        return [each for each in self.pointed if each.why]

    def insist(self) -> None:
        """Raises `TargetError` naming each field that is refused, why, and the remedy."""
        if self.refused:
            problems = "\n".join(f"  {each}" for each in self.refused)
            raise TargetError(f"this configuration leads out of the stack, and is refused:\n{problems}")


def inspect(target: Target, environ: Mapping[str, str]) -> Inspection:
    """What *target* and the environment that its service inherits point at. What `[start.env]` sets hides what is inherited."""
    pointed = [*_of_target(target), *_of_environ(environ, target.start.env, target.allow_hosts)]
    return Inspection(tuple(_mixed(pointed)))


def _of_target(target: Target) -> Iterator[Pointed]:
    yield _named("target.toml environment", target.environment)
    for name, value in target.start.env.items():
        yield from _strictly(f"target.toml [start.env] {name}", name, value, target.allow_hosts)
    for name, words in (("command", target.start.command), ("mutant_command", target.start.mutant_command)):
        for number, word in enumerate(words, 1):
            yield from _strictly(f"target.toml [start] {name}, word {number}", "", word, target.allow_hosts)
    for who, principal in target.principals:
        for name, text in principal.headers.items() if principal is not None else ():
            yield from _strictly(f"target.toml [principals.{who}] {name}", name, text, target.allow_hosts)
    for kind, operation in target.operations:
        if operation is None:
            continue
        texts = {**operation.headers, **operation.query, "request": operation.request}
        texts |= {f"json {path}": text for path, text in _texts(operation.json_body)} | (operation.form or {})
        for name, text in texts.items():
            yield from _strictly(f"target.toml [operations.{kind}] {name}", name, text, target.allow_hosts)


def _texts(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _texts(inner, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _texts(inner, f"{path}.{number}".lstrip("."))


def _of_environ(environ: Mapping[str, str], set_here: Mapping[str, str], allowed: Sequence[str]) -> Iterator[Pointed]:
    for name, value in sorted(environ.items()):
        if name in set_here or not value:
            continue
        field = f"the environment variable {name}"
        for found in _read(field, name, value, allowed):
            theirs = found.kind == "endpoint" and not (PAYING.search(name) or _host_of(value) in PROVIDERS)
            if not theirs and not (found.kind == "credential" and found.side == "not known"):
                yield replace(found, remedy=_inherited(name, found)) if found.why else found


def _inherited(name: str, found: Pointed) -> str:
    return f"unset {name}, or give it a value of the stack's own in [start.env]: the service would inherit it"


def _strictly(field: str, name: str, value: str, allowed: Sequence[str]) -> Iterator[Pointed]:
    yield from (
        Pointed(field, HERE[filled], f"{{{filled}}}", "here")
        for filled in PLACEHOLDER.findall(value)
        if filled in HERE and not _is_address(value)
    )
    yield from _read(field, name, value, allowed)


def _is_address(value: str) -> bool:
    """An address of which a placeholder is only a part, which is judged as an address."""
    return URL.search(value) is not None


def _read(field: str, name: str, value: str, allowed: Sequence[str]) -> Iterator[Pointed]:
    """What a value is, by its name and by how it looks."""
    if LIVE_KEY.search(value):
        why = "is a key with which real money moves"
        yield Pointed(
            field, "credential", _hidden(value), "live", why, "put a test key, or the stack's {api_key}, in its place"
        )
    elif TEST_KEY.search(value):
        yield Pointed(field, "credential", _hidden(value), "test")
    elif SECRET.search(name) and not PLACEHOLDER.search(value):
        yield Pointed(field, "credential", _hidden(value, 0), "not known")
    if ENVIRONMENT.search(name) and not PLACEHOLDER.search(value):
        yield _named(field, value)
    if DATABASE_HOST.search(name) and not PLACEHOLDER.search(value):
        yield _database(field, value.strip(), value.strip(), allowed)
    if DATABASE_NAME.search(name) and PRODUCTION.search(value):
        yield Pointed(
            field, "database", value, "live", "looks like production", "name a database of the stack's own: {db}"
        )
    for found in URL.finditer(value):
        yield _address(field, found.group(0), found.group(1).lower(), allowed)


def _named(field: str, value: str) -> Pointed:
    if PRODUCTION.search(value):
        return Pointed(
            field,
            "environment",
            repr(value),
            "live",
            "looks like production",
            "give the stack an environment of its own",
        )
    return Pointed(field, "environment", repr(value), "test" if FOR_TESTS.search(value) else "not known")


def _address(field: str, text: str, scheme: str, allowed: Sequence[str]) -> Pointed:
    try:
        url = urlsplit(text.removeprefix("jdbc:"))
        host = url.hostname or ""
    except ValueError:
        return Pointed(
            field, "endpoint", repr(text), "not known", "is no address that can be read", "write it out plainly"
        )
    kind = scheme.partition("+")[0]
    if kind in DATABASES or text.startswith("jdbc:"):
        return _database(field, host, _without_password(url), allowed)
    return _endpoint(field, host, url, allowed)


def _database(field: str, host: str, shown: str, allowed: Sequence[str]) -> Pointed:
    remedy = "use the stack's own: {db}"
    if PRODUCTION.search(shown):  # also one on loopback: a tunnel leads anywhere
        return Pointed(field, "database", shown, "live", "looks like a production database", remedy)
    if _is_here(host):
        return Pointed(field, "database", shown, "here")
    if host in allowed:
        return Pointed(field, "database", shown, "elsewhere")
    return Pointed(
        field, "database", shown, "elsewhere", "is a database on another machine", f"{remedy}, or {_allow(host)}"
    )


def _endpoint(field: str, host: str, url: SplitResult, allowed: Sequence[str]) -> Pointed:
    shown, remedy = _without_password(url), "use the stack's own: {api}"
    if _is_here(host):
        return Pointed(field, "endpoint", shown, "here")
    if host in LIVE_HOSTS:
        return Pointed(field, "endpoint", shown, "live", "is a payment provider's, and real money moves there", remedy)
    if PRODUCTION.search(host) or PRODUCTION.search(url.path):
        return Pointed(field, "endpoint", shown, "live", "looks like production", remedy)
    side: Side = "test" if host in TEST_HOSTS else "elsewhere"
    if host in allowed:
        return Pointed(field, "endpoint", shown, side)
    return Pointed(field, "endpoint", shown, side, "is on another machine", f"{remedy}, or {_allow(host)}")


def _allow(host: str) -> str:
    return f'say allow_hosts = ["{host}"] in target.toml if it is a test system of yours'


def _mixed(pointed: Sequence[Pointed]) -> Iterator[Pointed]:
    """A configuration of two environments is refused though each half might pass: which one is meant, nobody knows."""
    test = next((each for each in pointed if each.side == "test"), None)
    for each in pointed:
        if test is not None and each.side == "live":
            mixed = f"{each.why}, while {test.field} is of a test environment" if each.why else ""
            yield replace(each, why=mixed)
        else:
            yield each


def _host_of(value: str) -> str:
    found = URL.search(value)
    try:
        return (urlsplit(found.group(0)).hostname or "") if found else ""
    except ValueError:
        return ""


def _is_here(host: str) -> bool:
    """Of this machine: a loopback address, `localhost` and what is below it (RFC 6761), a socket, or what the stack fills in."""
    if (
        not host
        or host.startswith("/")
        or PLACEHOLDER.fullmatch(host)
        or host == "localhost"
        or host.endswith(".localhost")
    ):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _without_password(url: SplitResult) -> str:
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname or ""
    user = f"{url.username}:…@" if url.password else f"{url.username}@" if url.username else ""
    try:
        port = f":{url.port}" if url.port else ""
    except ValueError:
        port = ""
    return f"{url.scheme}://{user}{host}{port}{url.path}"


def _hidden(value: str, keep: int = 8) -> str:
    """The beginning that says what it is, and how long the rest is."""
    return f"{value[:keep]}… ({len(value)} characters)"
