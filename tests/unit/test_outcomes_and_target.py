"""What an attempt means, and how a target is described: two tables, and a file that is read with care."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.outcomes import FAILURES, STATUSES, Outcome, of_failure, of_status, together
from harness.signing import Signer
from harness.target import Operation, Target, TargetError, at, facts, fill, keys_in, owed, read, request, rows
from reference_impl.states import State, States
from reference_impl.statuses import WORDS

REFERENCE = Path(__file__).parent.parent.parent / "reference_impl" / "target.toml"
DONE, NOT_DONE, UNKNOWN = Outcome.DONE, Outcome.NOT_DONE, Outcome.UNKNOWN

# Outcomes


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        *((status, DONE) for status in (200, 201, 204, 299)),
        *((status, NOT_DONE) for status in (400, 401, 403, 404, 410, 422, 429, 499)),
        *((status, UNKNOWN) for status in (202, 408, 409)),
        *((status, UNKNOWN) for status in (500, 502, 503, 504, 599)),
        *((status, UNKNOWN) for status in (100, 301, 302, 304)),
    ],
)
def test_what_a_status_means(status: int, outcome: Outcome) -> None:
    found, because = of_status(status)
    assert found is outcome
    assert because


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (httpx.ConnectError, NOT_DONE),
        (httpx.ConnectTimeout, NOT_DONE),
        (httpx.PoolTimeout, NOT_DONE),
        (httpx.ReadTimeout, UNKNOWN),
        (httpx.WriteTimeout, UNKNOWN),
        (httpx.ReadError, UNKNOWN),
        (httpx.WriteError, UNKNOWN),
        (httpx.CloseError, UNKNOWN),
        (httpx.RemoteProtocolError, UNKNOWN),
        (httpx.DecodingError, UNKNOWN),
    ],
)
def test_what_a_failure_means(error: type[Exception], outcome: Outcome) -> None:
    """What never left is not done; of what left, nobody knows."""
    found, because = of_failure(error("it broke"))
    assert found is outcome
    assert because.endswith("nothing was sent" if outcome is NOT_DONE else "it may have been carried out")


@pytest.mark.parametrize("error", [KeyError("top_up"), httpx.InvalidURL("no host"), httpx.TooManyRedirects("again")])
def test_a_failure_that_the_table_does_not_know_is_raised(error: Exception) -> None:
    """It is the harness's own."""
    with pytest.raises(type(error)) as caught:
        of_failure(error)
    assert caught.value is error


def test_no_failure_is_hidden_by_one_above_it_in_the_table() -> None:
    """The first line that fits counts, so a wider one must come later."""
    for place, (kind, _, _) in enumerate(FAILURES):
        assert not any(issubclass(kind, earlier) for earlier, _, _ in FAILURES[:place])


def test_exceptions_to_a_class_of_statuses_say_why() -> None:
    assert all(of_status(status) == said for status, said in STATUSES.items())


@pytest.mark.parametrize(
    ("attempts", "whole"),
    [
        ([], NOT_DONE),
        ([NOT_DONE], NOT_DONE),
        ([UNKNOWN], UNKNOWN),
        ([DONE], DONE),
        ([UNKNOWN, NOT_DONE], UNKNOWN),
        ([NOT_DONE, UNKNOWN], UNKNOWN),
        ([UNKNOWN, DONE], DONE),
        ([DONE, UNKNOWN], DONE),
        ([DONE, NOT_DONE], DONE),
    ],
)
def test_an_operation_is_all_its_attempts_together(attempts: list[Outcome], whole: Outcome) -> None:
    """A refusal on the retry does not undo the timeout before it."""
    assert together(attempts) is whole


@given(st.lists(st.sampled_from(Outcome)), st.randoms())
def test_the_order_of_attempts_does_not_matter(attempts: list[Outcome], rng: Any) -> None:
    """Nor does another attempt ever make something less done."""
    shuffled = list(attempts)
    rng.shuffle(shuffled)
    assert together(attempts) is together(iter(shuffled))
    if DONE in attempts:
        assert all(together([*attempts, more]) is DONE for more in Outcome)


# A target that is read

MINIMAL = """
name = "mine"
environment = "chaos"
[start]
command = ["./serve"]
[callbacks]
path = "/callbacks"
[operations.top_up]
request = "POST /top-ups"
[operations.balance]
request = "GET /balance"
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "target.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(TargetError) as caught:
        read(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_a_target_needs_little(tmp_path: Path) -> None:
    """How to start it, where callbacks go, a top-up and a balance."""
    target = read(written(tmp_path, MINIMAL))
    assert (target.name, target.states, dict(target.words)) == ("mine", None, {})
    assert target.operations.named("status") is None
    assert target.operations.named("top_up") is target.operations.top_up
    assert target.operations.named("no_such_verb") is None


def test_a_target_names_its_own_mutants(tmp_path: Path) -> None:
    """And no other is one, least of all of a target that names none."""
    bugs = 'mutant_command = ["./serve", "{mutant}"]\nmutants = ["late", "lost"]\n[callbacks]'
    target = read(written(tmp_path, MINIMAL.replace("[callbacks]", bugs)))
    assert target.known_mutant("lost") == "lost"
    with pytest.raises(TargetError, match="mine has no mutant 'last': there are late, lost"):
        target.known_mutant("last")
    with pytest.raises(TargetError, match=r"its \[start\] mutants would name those that it has"):
        read(written(tmp_path, MINIMAL)).known_mutant("lost")


def test_a_target_is_a_value(tmp_path: Path) -> None:
    target = read(written(tmp_path, MINIMAL))
    with pytest.raises(ValueError, match="frozen"):
        target.environment = "live"  # type: ignore[misc]


def test_what_a_target_does_not_offer_is_said_with_the_reason(tmp_path: Path) -> None:
    """One that offers everything has nothing to say."""
    assert read(written(tmp_path, MINIMAL)).unoffered() == {
        "transition": "it has no [operations.timeline]",
        "discrepancy": "it has no [operations.discrepancies]",
        "ledger-read": "it has no [operations.entries]",
        "duplicates-are-counted": "it has no [operations.figures]",
        "access-is-kept": "its [principals] name nobody who is to be refused",
        "reconciliation-finds-all": "it has no [operations.compare]",
        "audit-is-complete": "it has no [operations.audit], or no [audited]",
        "tampering-is-found": "it has no [operations.audit], or no [rewrite]",
        "odd-is-reviewed": "it has no [operations.reviews]",
        "limits-are-kept": "its [operations.top_up] names no `limited_by` in the answer",
        "told-once": "it is not told of {inbox}, where customers' messages would go",
        "corrections-are-approved": "it has no [corrections], or no operation of findings, correct and approve",
        "crafted-requests-are-refused": "its [operations.top_up] has no `json`",
        "mixed-starts-are-refused": "it has no [start.mixed]",
        "rotation-refuses-nobody": "its [start.env] has no {old_secret} and {old_secret_until}",
        "told-the-truth": "it has no [words]",
        "status-never-goes-back": "it has no [words]",
    }
    assert read(REFERENCE).unoffered() == {}
    unnamed = MINIMAL + '[operations.entries]\nrequest = "GET /entries"\nanswer = { amount_minor = "amount_minor" }\n'
    assert read(written(tmp_path, unnamed)).unoffered()["entries-never-change"] == (
        "its [operations.entries] names no `entry` in the answer"
    )


def test_who_asks_is_said_in_headers_with_a_key_of_their_own(tmp_path: Path) -> None:
    """A service that asks nobody is sent nothing; a key that nobody knows is missed by name, with the remedy."""
    assert read(written(tmp_path, MINIMAL)).asked_by() == {}
    said = """
[principals.default]
headers = { Authorization = "Bearer till-{key}", X-Realm = "shop" }
[principals.stranger]
headers = { Authorization = "Bearer other-{key}" }
"""
    target = read(written(tmp_path, MINIMAL + said))
    knowing = target.knowing(keys_in({"TOPUP_CHAOS_KEYS": "default=k1 stranger=k=2"}))
    assert knowing.asked_by() == {"Authorization": "Bearer till-k1", "X-Realm": "shop"}
    assert knowing.asked_by("stranger") == {"Authorization": "Bearer other-k=2"}
    assert knowing.asked_by("former") == {}
    asked = request(knowing.operations.top_up, "http://x", VALUES, knowing.asked_by())
    assert asked.headers["Authorization"] == "Bearer till-k1"
    assert knowing.signer("default") is None
    with pytest.raises(TargetError, match=r"\[principals.stranger\] has a {key}.*TOPUP_CHAOS_KEYS=stranger="):
        target.knowing({"default": "k1"})
    with pytest.raises(TargetError, match=r"principals\.somebody"):
        read(written(tmp_path, MINIMAL + '[principals.somebody]\nheaders = { A = "b" }'))


def test_who_signs_has_a_secret_of_its_own_or_a_derived_one(tmp_path: Path) -> None:
    said = '[principals.signer]\nid = "till"\nsecret = "s-{key}"\n'
    plain = read(written(tmp_path, MINIMAL + said))
    assert plain.knowing({"signer": "k1"}).signer("signer") == Signer("till", "s-k1")
    derived = read(written(tmp_path, MINIMAL + said + 'derived_for = "till"')).knowing({"signer": "k1"})
    assert derived.signer("signer") == Signer("till", "rfNF1B5qcrsJGEffegmHFd3BH0cqvrSFA9QtWZOiqYY")
    with pytest.raises(TargetError, match=r"\[principals.signer\] has a {key}.*TOPUP_CHAOS_KEYS=signer="):
        plain.knowing({})


def test_what_is_owed_to_the_audit_log_is_owed_by_one_principal_when_the_answer_says_so(tmp_path: Path) -> None:
    said = """
[audited.approve]
who = "second"
when = { approved_by = "max" }
by = "max"
deed = "approved"
subject = "{finding}"
"""
    target = read(written(tmp_path, MINIMAL + said))
    values = {"finding": 7, "approved_by": "max"}
    assert owed(target, "approve", values, "second") == {"owes": {"by": "max", "deed": "approved", "subject": "7"}}
    assert owed(target, "approve", values) == {}
    assert owed(target, "approve", values | {"approved_by": "eve"}, "second") == {}
    assert owed(target, "correct", values, "second") == {}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('name = "mine"', "", "  name: Field required"),
        ('command = ["./serve"]', "", "  start.command: Field required"),
        ('command = ["./serve"]', 'command = "./serve"', "  start.command: Input should be a valid list"),
        ('path = "/callbacks"', "", "  callbacks.path: Field required"),
        ('[operations.balance]\nrequest = "GET /balance"', "", "  operations.balance: Field required"),
        ('"POST /top-ups"', '"POST top-ups"', "  operations.top_up.request: String should match pattern"),
        ('"POST /top-ups"', '"SHOVE /top-ups"', "  operations.top_up.request: String should match pattern"),
        (
            '"GET /balance"',
            '"GET /balance"\nretries = 3',
            "  operations.balance.retries: Extra inputs are not permitted",
        ),
        ("[callbacks]", "[operations.gift]\nrequest = 'POST /'\n[callbacks]", "  operations.gift: Extra inputs"),
        (
            "[callbacks]",
            "[words]\nGone = 'lost'\n[callbacks]",
            "  words.Gone: Input should be 'processing', 'confirmed'",
        ),
        ("[callbacks]", "[states]\nfinal = []\n[callbacks]", "  states.moves: Field required"),
        ('environment = "chaos"', "", "  environment: Field required"),
        ("[callbacks]", "mutants = ['late']\n[callbacks]", "  start.mutants: Value error, a target with mutants needs"),
    ],
)
def test_a_field_that_is_wrong_is_named(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in MINIMAL
    said = refusal(written(tmp_path, MINIMAL.replace(old, new)))
    assert says in said
    assert "target.toml does not describe a target:\n" in said


def test_every_field_that_is_wrong_is_named_at_once(tmp_path: Path) -> None:
    said = refusal(written(tmp_path, 'name = "mine"\n'))
    assert [line.partition(":")[0].strip() for line in said.splitlines()[1:]] == [
        "environment",
        "start",
        "callbacks",
        "operations",
    ]


@pytest.mark.parametrize(
    "environment", ["prod", "production", "Production", "PROD", "live", "eu-prod", "prod_2", "live.eu", "my live one"]
)
def test_production_is_refused(tmp_path: Path, environment: str) -> None:
    """With the remedy."""
    said = refusal(written(tmp_path, MINIMAL.replace('"chaos"', f'"{environment}"')))
    assert f"environment: Value error, {environment!r} looks like production, and is refused" in said
    assert "give the stack an environment of its own" in said


@pytest.mark.parametrize("environment", ["chaos", "test", "staging", "delivery-test", "product-lab"])
def test_what_is_not_production_is_not(tmp_path: Path, environment: str) -> None:
    assert read(written(tmp_path, MINIMAL.replace('"chaos"', f'"{environment}"'))).environment == environment


def test_a_target_that_is_not_there_is_told_with_the_remedy(tmp_path: Path) -> None:
    assert refusal(tmp_path / "target.toml").endswith("does not exist: name a target.toml with --target")


def test_a_folder_is_no_target(tmp_path: Path) -> None:
    said = refusal(tmp_path)
    assert "cannot be read" in said
    assert said.endswith("name a target.toml with --target")


def test_a_target_that_is_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "target.toml"
    path.write_bytes(b'name = "m\xe9"\n')
    assert "is not UTF-8" in refusal(path)


def test_a_target_that_is_not_toml_is_told_where(tmp_path: Path) -> None:
    said = refusal(written(tmp_path, MINIMAL + "\nname mine\n"))
    assert "is not TOML: " in said
    assert "line 13" in said


# Placeholders

VALUES = {"amount_minor": 500, "account": "r1-a1", "nothing": None}


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("{amount_minor}", 500),
        ("{amount_minor} cents", "500 cents"),
        ("/{account}/{amount_minor}", "/r1-a1/500"),
        ("{nothing}", None),
        ("plain", "plain"),
        ("", ""),
        ("{not a name}", "{not a name}"),
        ({"{account}": "{account}", "deep": [{"n": "{amount_minor}"}]}, {"{account}": "r1-a1", "deep": [{"n": 500}]}),
        ([7, True, None, 1.5], [7, True, None, 1.5]),
    ],
)
def test_placeholders_are_filled_in(template: Any, filled: Any) -> None:
    """A string that is one placeholder takes the value's own type; keys and numbers stay as they are."""
    assert fill(template, VALUES) == filled
    assert type(fill(template, VALUES)) is type(filled)


@pytest.mark.parametrize("template", ["{acount}", "to {acount}", {"to": ["{acount}"]}])
def test_a_placeholder_that_nothing_fills_is_named(template: Any) -> None:
    """With those that there are."""
    with pytest.raises(TargetError, match=r"\{acount\} has no value here: there are account, amount_minor, nothing"):
        fill(template, VALUES)


@given(st.text(), st.text())
def test_what_is_filled_in_is_not_filled_again(value: str, other: str) -> None:
    """A customer may be called whatever he likes."""
    values = {"customer": "{other}" + value, "other": other}
    assert fill("{customer}", values) == "{other}" + value
    assert fill("to {customer}", values) == "to {other}" + value


def an_operation(**described: Any) -> Operation:
    return Operation.model_validate({"request": "GET /", **described})


def test_an_operation_becomes_a_request() -> None:
    """Path, headers, query and body, each filled in."""
    operation = an_operation(
        request="POST /accounts/{account}/top-ups",
        headers={"X-Account": "{account}"},
        query={"dry": "no", "account": "{account}"},
        json={"amount_minor": "{amount_minor}"},
    )
    made = request(operation, "http://127.0.0.1:8000", VALUES)
    assert (made.method, made.url.path) == ("POST", "/accounts/r1-a1/top-ups")
    assert dict(made.url.params) == {"dry": "no", "account": "r1-a1"}
    assert made.headers["X-Account"] == "r1-a1"
    assert json.loads(made.content) == {"amount_minor": 500}


def test_a_form_is_sent_as_a_form_and_nothing_as_nothing() -> None:
    form = request(an_operation(request="POST /", form={"amount": "{amount_minor}"}), "http://127.0.0.1", VALUES)
    assert form.content == b"amount=500"
    bare = request(an_operation(), "http://127.0.0.1", VALUES)
    assert (bare.content, bare.url.query, "content-type" in bare.headers) == (b"", b"", False)


# Answers

BODY = {"data": {"id": "tu_1", "none": None, "no": False, "rows": [{"id": 1}, {"id": 2, "x": 0}]}, "id": "req_1"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("id", "req_1"),
        ("data.id", "tu_1"),
        ("data.no", False),
        ("data.none", None),
        ("data.none.id", None),
        ("data.missing", None),
        ("id.data", None),
        ("data.rows.0", None),
        ("", None),
    ],
)
def test_a_dotted_path_leads_to_a_value_or_to_none(path: str, value: Any) -> None:
    assert at(BODY, path) == value


@pytest.mark.parametrize("body", [None, [], "text", 7])
def test_a_body_that_is_no_object_has_no_facts(body: Any) -> None:
    assert at(body, "id") is None
    assert facts(an_operation(answer={"top_up": "id"}), body) == {}


def test_facts_are_those_that_are_there() -> None:
    """A false or empty one is there, a null is not."""
    operation = an_operation(answer={"top_up": "data.id", "done": "data.no", "word": "data.none", "state": "state"})
    assert facts(operation, BODY) == {"top_up": "tu_1", "done": False}


def test_rows_are_facts_of_each_object_in_a_list() -> None:
    """Wherever the list is."""
    assert rows(an_operation(list="data.rows", answer={"entry": "id", "x": "x"}), BODY) == [
        {"entry": 1},
        {"entry": 2, "x": 0},
    ]
    assert rows(an_operation(answer={"entry": "id"}), [{"id": 1}, "odd"]) == [{"entry": 1}, {}]


@pytest.mark.parametrize("where", ["data", "data.id", "nowhere"])
def test_rows_where_there_is_no_list_name_what_says_so(where: str) -> None:
    with pytest.raises(TargetError, match=rf"`list = '{where}'` of 'GET /' is not a list in the answer"):
        rows(an_operation(list=where, answer={"entry": "id"}), BODY)


# The reference, as it describes itself


@pytest.fixture(scope="module")
def reference() -> Target:
    return read(REFERENCE)


def test_the_reference_describes_the_state_machine_that_it_has(reference: Target) -> None:
    assert reference.states is not None
    described = {before: set(afters) for before, afters in reference.states.moves.items()}
    assert described == {before: set(afters) for before, afters in States.TABLE.items() if afters}


def test_the_reference_calls_final_what_only_money_that_goes_back_leaves(reference: Target) -> None:
    """A credit may be reversed, and a reversal undone: nothing else that the provider says moves it."""
    assert reference.states is not None
    events = set(States.TARGETS) - set(States.STANDINGS)
    heard = {State(before).value for before in State for event in events if States().advance(before, event)}
    assert set(reference.states.final) == {state.value for state in State} - heard


def test_the_reference_translates_every_word_that_customers_read(reference: Target) -> None:
    assert set(reference.words) == set(WORDS.values())


def test_the_reference_offers_every_operation(reference: Target) -> None:
    offered = type(reference.operations).model_fields
    assert all(reference.operations.named(kind) is not None for kind in offered)
