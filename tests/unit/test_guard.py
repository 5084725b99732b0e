"""What a configuration points at, and which mixes are refused."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from random import Random

import pytest

from harness import cli
from harness.cli import REFERENCE
from harness.guard import Inspection, inspect
from harness.stacks import processes as stack
from harness.target import Target, TargetError, read

NODE = Path(__file__).parent.parent / "other_language" / "target.toml"
FAKE = "0123456789abcdefFAKE"  # behind a prefix that providers use: a key of nobody


def target(env: Mapping[str, str] | None = None, **fields: object) -> Target:
    """The reference, told a little more."""
    plain = read(REFERENCE)
    start = plain.start.model_copy(update={"env": {**plain.start.env, **(env or {})}})
    return plain.model_copy(update={"start": start, **fields})


def refused(inspection: Inspection) -> list[tuple[str, str]]:
    return [(each.field, each.kind) for each in inspection.refused]


@pytest.mark.parametrize("file", [REFERENCE, NODE])
def test_a_target_of_our_own_points_at_its_stack_alone(file: Path) -> None:
    """Credentials, endpoints and the database are the stack's; the names of what they are about are said."""
    found = inspect(read(file), {})

    assert found.refused == []
    assert {(each.field, each.shown) for each in found.pointed if each.side == "here"} >= {
        ("target.toml [start.env] DATABASE_URL", "{db}"),
        ("target.toml [start.env] PROVIDER_URL", "{api}"),
        ("target.toml [start.env] PROVIDER_API_KEY", "{api_key}"),
    }


PLANTED = {
    "a live key": ({"STRIPE_KEY": f"sk_live_{FAKE}"}, "credential", "real money"),
    "a restricted live key": ({"X": f"Bearer rk_live_{FAKE}"}, "credential", "real money"),
    "a live key of another provider": ({"X": f"rzp_live_{FAKE}"}, "credential", "real money"),
    "a database elsewhere": ({"DATABASE_URL": "postgresql://app:pw@db.internal/topups"}, "database", "another machine"),
    "a tunnel to production": ({"DATABASE_URL": "postgres://127.0.0.1:6000/topups_prod"}, "database", "production"),
    "a database by its host": ({"PGHOST": "10.0.0.7"}, "database", "another machine"),
    "a database by its name": ({"DB_NAME": "payments-production"}, "database", "production"),
    "a database through a driver": ({"X": "jdbc:postgresql://10.0.0.7/topups"}, "database", "another machine"),
    "a live endpoint": ({"PADDLE_URL": "https://api.paddle.com/"}, "endpoint", "real money"),
    "a host of production": ({"NOTIFY_URL": "https://notify.prod.example/"}, "endpoint", "production"),
    "a host that is not this one": ({"NOTIFY_URL": "http://notify.example/"}, "endpoint", "another machine"),
    "an environment": ({"APP_ENV": "production"}, "environment", "production"),
}


@pytest.mark.parametrize("mix", PLANTED)
def test_what_leads_out_of_the_stack_is_refused_by_its_field(mix: str) -> None:
    """Each planted value is found where it stands, told why, with a remedy, and without its secret."""
    env, kind, why = PLANTED[mix]

    found = inspect(target(env), {}).refused

    assert [(each.field, each.kind) for each in found] == [(f"target.toml [start.env] {next(iter(env))}", kind)]
    assert why in found[0].why and found[0].remedy
    assert FAKE not in str(found[0]) and "pw@" not in str(found[0])


@pytest.mark.parametrize("mix", sorted(set(PLANTED) - {"a host of production", "a host that is not this one"}))
def test_what_the_service_would_inherit_is_refused_too(mix: str) -> None:
    """As long as the target does not set the same variable to something of its own."""
    env, kind, _ = PLANTED[mix]
    name = next(iter(env))
    bare = target().model_copy(update={"start": target().start.model_copy(update={"env": {}})})

    found = inspect(bare, env).refused

    assert [(each.field, each.kind) for each in found] == [(f"the environment variable {name}", kind)]
    assert f"unset {name}" in found[0].remedy
    assert inspect(target({name: "{db}"}), env).refused == []


def test_a_mix_is_told_as_one() -> None:
    """A test key beside a live endpoint: the refusal names both."""
    mixed = target(
        {"PADDLE_KEY": f"pdl_sdbx_{FAKE}", "PADDLE_URL": "https://api.paddle.com"}, allow_hosts=["api.paddle.com"]
    )

    (found,) = inspect(mixed.model_copy(update={"environment": "nowhere"}), {}).refused

    assert found.field == "target.toml [start.env] PADDLE_URL"
    assert "while target.toml [start.env] PADDLE_KEY is of a test environment" in found.why


def test_what_is_of_a_test_environment_passes() -> None:
    """Test keys, loopback, and a host that the target itself allows."""
    env = {
        "STRIPE_KEY": f"sk_test_{FAKE}",
        "SQUARE_APP": f"sandbox-sq0idb-{FAKE}",
        "REDIS_URL": "redis://localhost:6379/0",
        "METRICS_URL": "http://[::1]:4318/v1/metrics",
        "MAIL_URL": "http://mail.test.example/",
        "OWN_URL": "http://127.0.0.1:{port}/",
    }

    assert refused(inspect(target(env, allow_hosts=["mail.test.example"]), {})) == []
    assert refused(inspect(target(env), {})) == [("target.toml [start.env] MAIL_URL", "endpoint")]


def test_a_shell_may_have_addresses_of_its_own() -> None:
    """What is no database, no key and no payment provider's is no business of a top-up service."""
    shell = {
        "HTTPS_PROXY": "http://proxy.prod.example:3128",
        "GIT_URL": "https://git.example/",
        "NODE_ENV": "production",
    }

    assert inspect(target(), shell).pointed == inspect(target(), {}).pointed


def test_what_is_sent_by_the_clients_is_read_too() -> None:
    """A key in a header of an operation, deep in a body too."""
    top_up = read(REFERENCE).operations.top_up.model_copy(
        update={
            "headers": {"Authorization": f"Bearer sk_live_{FAKE}"},
            "json_body": {"a": [{"b": "https://api.paddle.com/"}]},
        }
    )
    asked = target(operations=read(REFERENCE).operations.model_copy(update={"top_up": top_up}))

    assert refused(inspect(asked, {})) == [
        ("target.toml [operations.top_up] Authorization", "credential"),
        ("target.toml [operations.top_up] json a.0.b", "endpoint"),
    ]


def test_a_refusal_names_every_field() -> None:
    """One message, all of them."""
    both = target({"A": f"sk_live_{FAKE}", "DATABASE_URL": "mysql://db.example/x"})

    with pytest.raises(TargetError, match=r"(?s)DATABASE_URL.*\[start\.env\] A: sk_live_"):
        inspect(both, {}).insist()


def test_the_command_says_what_there_is_and_refuses_a_mix(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 0 with the list; exit 2 with the field and the remedy, and without the secret."""
    monkeypatch.setattr("sys.argv", ["topup-chaos", "guard"])
    with pytest.raises(SystemExit) as calm:
        cli.main()
    assert calm.value.code == 0 and "[start.env] DATABASE_URL" in capsys.readouterr().out

    monkeypatch.setenv("STRIPE_KEY", f"sk_live_{FAKE}")
    with pytest.raises(SystemExit) as planted:
        cli.main()
    printed = capsys.readouterr()
    assert planted.value.code == 2
    assert "the environment variable STRIPE_KEY" in printed.err and "unset STRIPE_KEY" in printed.err
    assert FAKE not in printed.out + printed.err


def test_the_command_reads_the_target_of_the_profile(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The one that the gate would put to the test."""
    planted = NODE.read_text().replace('MERCHANT = "{merchant}"', 'DATABASE_HOST = "10.0.0.7"')
    (tmp_path / "target.toml").write_text(planted)
    (tmp_path / "release.toml").write_text("[gate]\ntarget = 'target.toml'\n[gate.suite]\n")
    monkeypatch.setattr("sys.argv", ["topup-chaos", "guard", "--profile", str(tmp_path / "release.toml")])

    with pytest.raises(SystemExit) as refused:
        cli.main()

    assert refused.value.code == 2 and "target.toml [start.env] DATABASE_HOST: 10.0.0.7" in capsys.readouterr().err


def test_no_stack_is_started_for_a_mix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By whatever command: the refusal stands before the first process."""

    def none(*_: object, **__: object) -> None:
        raise AssertionError("something was started")

    async def start() -> None:
        async with stack.processes(REFERENCE, tmp_path / "logs", Random(1)):
            none()

    monkeypatch.setattr(stack, "PostgresCluster", none)
    monkeypatch.setenv("PGHOST", "db.example")

    with pytest.raises(TargetError, match="PGHOST"):
        asyncio.run(start())
    assert not (tmp_path / "logs").exists()
