"""Requests are read in one way, and refused in one form, which the OpenAPI document tells."""

import json

import pytest
from test_reference_service import ANN, bench, run

from reference_impl.face import face
from reference_impl.limits import Bodies

WISH = '"account": "acc", "currency": "EUR", "method": "card"'


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('{"amount_minor": 1, "amount_minor": 1000, ' + WISH + "}", "a key is there twice"),
        ('{"amount_minor": ' + "[" * 40 + "]" * 40 + ", " + WISH + "}", "nested too deep"),
        ('{"amount_minor": NaN, ' + WISH + "}", "NaN"),
        ("[]", "not an object"),
        ("{", "not JSON"),
    ],
)
def test_what_two_parsers_could_read_in_two_ways_is_refused(database_url: str, body: str, says: str) -> None:
    """And nobody is asked for money."""

    async def story() -> None:
        async with bench(database_url) as b:
            headers = {**ANN, "Idempotency-Key": "k1", "Content-Type": "application/json"}
            refused = await b.client.post("/v1/top-ups", content=body, headers=headers)
            assert (refused.status_code, refused.json()["error"]["field"]) == (400, "body")
            assert says in refused.json()["error"]["message"]
            assert await b.database.fetchval("SELECT count(*) FROM top_ups") == 0

    run(story())


@pytest.mark.parametrize(
    ("written", "means"), [("1000.0", 1000), ("1e3", 1000), ("-0.0", 0), ("1.5", 1.5), ("1e400", "inf")]
)
def test_a_whole_number_is_one_however_it_is_written(written: str, means: object) -> None:
    """As JSON Schema has it. One that is too large to be meant is never made an integer of a million digits."""
    read = Bodies().read(f'{{"n": {written}}}'.encode())["n"]
    assert (str(read), type(read)) == (str(means), float if means in (1.5, "inf") else int)


def test_a_method_that_there_is_not_is_told_those_that_there_are(database_url: str) -> None:
    """All of them, and not those of the first route alone."""

    async def story() -> None:
        async with bench(database_url) as b:
            refused = await b.client.put("/admin/comparisons")
            assert (refused.status_code, refused.headers["allow"]) == (405, "GET, POST")
            assert refused.json()["error"]["code"] == "method_not_allowed"
            for path in ("/nothing", "/admin/a%0Ab"):
                assert (await b.client.get(path)).json()["error"]["code"] == "refused"

    run(story())


def test_the_document_lists_every_refusal_of_every_operation() -> None:
    paths = json.loads(json.dumps(face().openapi()))["paths"]
    for path, operations in paths.items():
        for method, operation in operations.items():
            listed = {"400", "401", "403", "404", "405", "408", "409", "413", "422", "503"}
            assert listed <= set(operation["responses"]), f"{method} {path}"
            for status in listed:
                schema = operation["responses"][status]["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Refusal"}, f"{method} {path} {status}"
