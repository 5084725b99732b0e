"""The arc, on a stack of a few lines: a real loopback service behind a real tap, a provider and nodes that write down."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

import harness.faults
import harness.invariants
from harness import deeds, runner
from harness.cli import EXIT, UNKNOWN
from harness.faults import FAULTS
from harness.history import Event, Recorder
from harness.plan import Begin, Do, End, Join, Meanwhile, Operation, Plan, PlanError, Step, Wait
from harness.provider import ProviderError, Rest
from harness.registry import load as load_all
from harness.run import Run
from harness.runner import Setting, carry_out
from harness.stack import Link, Stack, StackError, Wire
from harness.stacks.ports import LOOPBACK
from harness.target import Target
from harness.verdict import INVARIANTS, Invariant, Status
from harness.wire.http import Http
from harness.wire.tap import Tap

load_all(harness.faults)
load_all(harness.invariants)

TARGET = Target.model_validate(
    {
        "name": "till",
        "environment": "test",
        "start": {"command": ["true"]},
        "callbacks": {"path": "/"},
        "operations": {
            "top_up": {
                "request": "POST /top-ups",
                "headers": {"Idempotency-Key": "{key}"},
                "json": {"account": "{account}", "amount_minor": "{amount_minor}", "currency": "{currency}"},
                "answer": {"top_up": "top_up", "payment": "payment"},
            },
            "balance": {"request": "GET /balances/{account}", "answer": {"balance_minor": "balance_minor"}},
        },
    }
)
SETTING = Setting(target="till", mutant=None, versions={}, again="topup-chaos run story --seed 7")
MONEY = ("credited-at-most-once", "every-payment-is-credited", "settles-in-time")

ANN = Operation(id="a1", kind="open_account", currency="EUR", args={"customer": "ann"})
TOP_UP = Operation(id="t1", kind="top_up", about="a1", amount_minor=500, currency="EUR", method="card", key="t1")
PAID = (Do((ANN,)), Do((TOP_UP,)))
SLOW = Begin("x1", "latency", {"link": "edge", "ms": 1})


@dataclass
class Provider:
    """As much of a provider's control as the runner asks for. `restless` is why it does not come to rest."""

    events: list[Event] = field(default_factory=list)
    restless: str | None = None
    moods: list[str] = field(default_factory=list)
    silent: bool = False

    heard = 0

    async def journal(self, after: int) -> tuple[list[Event], int]:
        return self.events[after:], len(self.events)

    async def rest(self, within_s: float = 0.0) -> Rest:
        return Rest(self.restless, in_flight=1 if self.restless else 0, due=0, held=0)

    async def begin_mood(self, mood: str, args: Mapping[str, Any]) -> str:
        self.moods.append(f"{mood} began")
        return mood

    async def mood_touched(self, id: str) -> int:
        if self.silent:
            raise ProviderError("the provider did not answer")
        return 1

    async def end_mood(self, id: str) -> int:
        self.moods.append(f"{id} ended")
        return 1


@dataclass
class Service:
    """Charges and credits at once, once for each key. What it does with `unheard` requests is done, and not answered."""

    provider: Provider
    keys: list[str] = field(default_factory=list)
    balances: dict[str, int] = field(default_factory=dict)
    done: dict[str, str] = field(default_factory=dict)
    unheard: int = 0
    held: asyncio.Event | None = None
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, path, *_ = head.split()
            headers = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if ": " in line)
            body = json.loads(await reader.readexactly(int(headers.get("content-length", "0"))) or b"{}")
            answer = self.balance(path) if method == "GET" else self.top_up(headers["idempotency-key"], body)
            if self.held is not None:
                await self.held.wait()
            if self.unheard and method == "POST":
                self.unheard -= 1
            else:
                content = json.dumps(answer).encode()
                writer.write(b"HTTP/1.1 201 X\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content))
                await writer.drain()
        writer.transport.abort()

    def balance(self, path: str) -> dict[str, Any]:
        return {"balance_minor": self.balances.get(path.rpartition("/")[2], 0)}

    def top_up(self, key: str, body: dict[str, Any]) -> dict[str, Any]:
        self.keys.append(key)
        self.asked.set()
        if key not in self.done:
            self.done[key] = f"pay_{len(self.done) + 1}"
            amount = body["amount_minor"]
            self.balances[body["account"]] = self.balances.get(body["account"], 0) + amount
            facts = {"payment": self.done[key], "reference": f"tu_{key}", "state": "captured", "amount_minor": amount}
            facts |= {"captured_minor": amount, "account": body["account"], "currency": body["currency"]}
            self.provider.events.append(Event(at=time.time(), actor="provider", kind="payment", facts=facts))
        return {"top_up": f"tu_{key}", "payment": self.done[key]}


@dataclass
class FakeNode:
    name: str
    alive: bool = True
    did: list[str] = field(default_factory=list)

    async def kill(self) -> None:
        self.alive = False
        self.did.append("killed")

    async def start(self) -> None:
        self.alive = True
        self.did.append("started")

    def pause(self) -> None:
        self.did.append("paused")

    def resume(self) -> None:
        self.did.append("resumed")


@dataclass
class Weather:
    """A proxy that only writes down what it is told; with `stuck`, one that cannot be mended."""

    name: str
    did: list[str] = field(default_factory=list)
    stuck: bool = False

    @property
    def address(self) -> tuple[str, int]:
        return LOOPBACK, 0

    @asynccontextmanager
    async def toxic(self, kind: str, stream: str, **attributes: int) -> AsyncIterator[None]:
        self.did.append(f"{kind} began")
        try:
            yield
        finally:
            self.did.append(f"{kind} ended")
            if self.stuck:
                raise RuntimeError("the proxy does not answer")

    def down(self) -> Any:
        return self.toxic("down", "upstream")


@dataclass
class Bench:
    """A stack that is up; as much of `Stack` as a run needs."""

    provider: Provider
    service: Service
    wire: Wire
    links: dict[str, Link]
    weather: Weather
    nodes: dict[str, FakeNode]
    service_url: str
    target: Target = TARGET
    target_file: Path = Path("target.toml")
    directory: Path = Path()
    proxies: str = "none"
    secrets: Mapping[str, str] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)
    recorder: Recorder = field(default_factory=lambda: Recorder(time.time))

    def log_lines(self) -> Mapping[str, list[str]]:
        return {"service": []}

    async def carry_out(self, *steps: Step, about: tuple[str, ...] = MONEY) -> Run:
        plan = Plan("story", "A story.", 7, steps, about)
        return await carry_out(plan, cast(Stack, self), "r1", self.recorder, SETTING)

    def events(self, *kinds: str) -> list[Event]:
        return list(self.recorder.history().of(*kinds))


def run(story: Callable[[Bench], Coroutine[Any, Any, None]]) -> None:
    """Bring a bench up, tell the story on it, and take it down; a hang is a failure, not a wait."""

    async def guarded() -> None:
        async with asyncio.timeout(20):
            provider = Provider()
            service, wire, weather = Service(provider), Wire(), Weather("edge")
            server = await asyncio.start_server(service.handle, LOOPBACK, 0)
            tap, idle = Tap("edge", Http, wire), Tap("api", Http, wire)
            address = server.sockets[0].getsockname()[:2]
            for each in (tap, idle):
                await each.start(address)
            links = {"edge": Link("edge", tap, cast(Any, weather)), "api": Link("api", idle, cast(Any, weather))}
            nodes = {"service": FakeNode("service"), "postgres": FakeNode("postgres")}
            try:
                url = "http://{}:{}".format(*address)  # past every link, where the books are read
                await story(Bench(provider, service, wire, links, weather, nodes, url))
            finally:
                for each in (tap, idle):
                    await each.close()
                server.close()

    asyncio.run(guarded())


def unknowns(result: Run) -> dict[str, str]:
    found = (verdict for verdict in result.verdicts if verdict.status is Status.UNKNOWN and verdict.weighs)
    return {verdict.invariant: verdict.because for verdict in found}


def broken_step(*_: Any, **__: Any) -> Any:
    raise RuntimeError("a step broke")


def test_a_calm_run_walks_the_whole_arc_and_holds() -> None:
    """The phases come in their order, the books are read, and the history is what the judge was given."""

    async def story(bench: Bench) -> None:
        result = await bench.carry_out(*PAID)
        assert unknowns(result) == {}
        assert result.status is Status.HOLDS
        phases = [event["name"] for event in bench.events("phase")]
        assert phases == ["set-up", "disturb", "heal", "settle", "audit"]
        assert result.history[0].kind == "plan", "a history begins with its plan"
        assert result.history.events == bench.recorder.history().events
        assert [(each.payment, each.verdict) for each in result.payments] == [("pay_1", "exact")]
        assert bench.wire.recorder is None

    run(story)


def test_fault_ended_carries_what_was_touched() -> None:
    """What crossed while it lasted, and nothing from before or after."""

    async def story(bench: Bench) -> None:
        refund = replace(TOP_UP, id="t2", key="t2", amount_minor=1700)
        result = await bench.carry_out(*PAID, SLOW, Do((refund,)), End("x1"), Do((replace(TOP_UP, id="t3"),)))
        (began,), (ended,) = bench.events("fault-began"), bench.events("fault-ended")
        assert (began["id"], began["fault"], dict(began["args"])) == ("x1", "latency", {"link": "edge", "ms": 1})
        assert (ended["id"], ended["fault"], ended["touched"]) == ("x1", "latency", 2)
        assert bench.weather.did == ["latency began", "latency ended"]
        assert result.status is Status.HOLDS

    run(story)


def test_a_fault_that_touches_nothing_makes_the_run_unknown() -> None:
    """Exit code 3, with the name of the fault; everything else may hold."""

    async def story(bench: Bench) -> None:
        result = await bench.carry_out(*PAID, SLOW, End("x1"))
        assert list(unknowns(result)) == ["faults-bite"]
        assert "latency (x1) touched no traffic" in unknowns(result)["faults-bite"]
        assert result.status is Status.UNKNOWN
        assert EXIT[result.status] == UNKNOWN == 3

    run(story)


def test_a_surgery_that_met_nothing_makes_the_run_unknown() -> None:
    """Traffic on its link is not enough: the one message has to come."""

    async def story(bench: Bench) -> None:
        cut = Begin("x1", "cut-at", {"link": "edge", "label": "POST /refunds", "point": "before"})
        result = await bench.carry_out(cut, *PAID, End("x1"))
        assert list(unknowns(result)) == ["faults-bite"]

    run(story)


def test_a_surgery_under_way_is_counted_when_it_is_done() -> None:
    """A victim may take longer to die than its clients to notice: the plan goes on, and the blow has been dealt."""

    async def story(bench: Bench) -> None:
        dying, dead = asyncio.Event(), asyncio.Event()

        class Slow(FakeNode):
            async def kill(self) -> None:
                dying.set()
                await dead.wait()
                await super().kill()

        bench.nodes["service"] = Slow("service")
        at = {"node": "service", "link": "edge", "label": "POST", "point": "before"}
        async with FAULTS["kill-at"].begin(cast(Stack, bench), **at) as touched:
            _, writer = await asyncio.open_connection(*bench.links["edge"].tap.address)
            writer.write(b"POST /top-ups HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            await dying.wait()
            asyncio.get_running_loop().call_soon(dead.set)
            assert await touched() == 1
        assert bench.nodes["service"].did == ["killed", "started"]
        writer.close()

    run(story)


@pytest.mark.parametrize("nth", [0, -1])
def test_a_message_that_has_no_number_is_no_message(nth: int) -> None:
    async def story(bench: Bench) -> None:
        cut = Begin("x1", "cut-at", {"link": "edge", "label": "POST", "point": "before", "nth": nth})
        with pytest.raises(PlanError, match="counts from 1"):
            await bench.carry_out(cut, *PAID)

    run(story)


def test_faults_are_ended_by_healing_when_the_plan_does_not() -> None:
    async def story(bench: Bench) -> None:
        result = await bench.carry_out(SLOW, *PAID)
        assert bench.weather.did == ["latency began", "latency ended"]
        assert result.status is Status.HOLDS

    run(story)


def test_faults_are_ended_when_a_step_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what was raised is raised, with every node up and every fault gone."""

    async def story(bench: Bench) -> None:
        monkeypatch.setattr(runner.Client, "perform", broken_step)
        bench.nodes["postgres"].alive = False
        mood = Begin("x2", "mood", {"mood": "drop"})
        with pytest.raises(RuntimeError, match="a step broke"):
            await bench.carry_out(SLOW, mood, *PAID)
        assert bench.weather.did == ["latency began", "latency ended"]
        assert bench.provider.moods == ["drop began", "drop ended"]
        assert bench.nodes["postgres"].did == ["started"]
        assert bench.wire.recorder is None
        assert {event["id"] for event in bench.events("fault-ended")} == {"x1", "x2"}

    run(story)


def test_faults_are_ended_when_the_run_is_cancelled() -> None:
    """In the middle of a step, with another one in the background."""

    async def story(bench: Bench) -> None:
        bench.service.held = asyncio.Event()
        killed = Begin("x2", "kill", {"node": "service"})
        task = asyncio.create_task(bench.carry_out(SLOW, killed, Meanwhile("m1", PAID), *PAID, Join("m1")))
        await bench.service.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert bench.weather.did == ["latency began", "latency ended"]
        assert bench.nodes["service"].did == ["killed", "started"]
        assert bench.wire.recorder is None
        others = {each for each in asyncio.all_tasks() if "_steps" in repr(each)}
        assert not others, "nothing of the run is still under way in the background"

    run(story)


@pytest.mark.parametrize("broken", ["count", "mend"])
def test_one_fault_that_cannot_be_mended_does_not_keep_the_others(broken: str) -> None:
    """Whatever one of them raises, the others are ended and the nodes are up again."""

    async def story(bench: Bench) -> None:
        bench.provider.silent = broken == "count"
        bench.weather.stuck = broken == "mend"
        mood = Begin("x0", "mood", {"mood": "drop"})
        steps = (mood, SLOW) if broken == "count" else (SLOW, mood)
        bench.nodes["postgres"].alive = False
        with suppress(RuntimeError, ProviderError, PlanError):
            await bench.carry_out(*steps, *PAID)
        assert bench.weather.did == ["latency began", "latency ended"]
        assert bench.provider.moods == ["drop began", "drop ended"]
        assert bench.nodes["postgres"].alive

    run(story)


def test_a_fault_lasts_until_its_node_is_up_again() -> None:
    """Killed while its database is out of reach, a service comes up when that is mended, and not when the plan would have it."""

    async def story(bench: Bench) -> None:
        class Needy(FakeNode):
            async def start(self) -> None:
                if bench.weather.did[-1] == "latency began":
                    raise StackError("it cannot reach its database")
                await super().start()

        bench.nodes["service"] = Needy("service")
        killed = Begin("x2", "kill", {"node": "service"})
        result = await bench.carry_out(PAID[0], SLOW, killed, End("x2"), End(SLOW.id), PAID[1])
        ends = [event["id"] for event in result.history.of("fault-ended")]
        assert ends == [SLOW.id, "x2"]
        assert bench.nodes["service"].did == ["killed", "started"]
        up = next(
            at for at, event in enumerate(result.history) if event.get("id") == "x2" and event.kind == "fault-ended"
        )
        healing = next(at for at, event in enumerate(result.history) if event.get("name") == "heal")
        assert up < healing

    run(story)


def test_a_fault_whose_node_never_comes_up_ends_with_the_plan() -> None:
    async def story(bench: Bench) -> None:
        class Gone(FakeNode):
            async def start(self) -> None:
                raise StackError("no such program")

        bench.nodes["service"] = Gone("service")
        result = await bench.carry_out(*PAID, Begin("x2", "kill", {"node": "service"}), End("x2"))
        [end] = result.history.of("fault-ended")
        healing = next(event for event in result.history if event.get("name") == "heal")
        assert end.at > healing.at
        assert [event["did"] for event in result.history.of("node")] == ["did not come up again"]

    run(story)


def test_a_dead_node_is_started_again() -> None:
    """Whoever killed it; one that lives is left alone."""

    async def story(bench: Bench) -> None:
        bench.nodes["service"].alive = False
        result = await bench.carry_out(*PAID)
        assert (bench.nodes["service"].did, bench.nodes["postgres"].did) == (["started"], [])
        assert result.status is Status.HOLDS

    run(story)


def test_a_client_that_got_no_answer_asks_again_with_the_same_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it knows; and a client that knows does not ask."""

    async def story(bench: Bench) -> None:
        monkeypatch.setattr(deeds, "AGAIN_S", 0.0)
        bench.service.unheard = 2
        result = await bench.carry_out(*PAID, Do((replace(TOP_UP, id="t2", key="t2", amount_minor=1700),)))
        assert [key for key in bench.service.keys if key == "r1-t1"] == ["r1-t1"] * 2
        assert [key for key in bench.service.keys if key == "r1-t2"] == ["r1-t2"] * 2
        told = [(event["id"], event["attempt"], event["outcome"]) for event in bench.events("answered")]
        wanted = [("t1", 1, "unknown"), ("t2", 1, "unknown"), ("t1", 2, "done"), ("t2", 2, "done")]
        assert [each for each in told if each[0] != "a1"] == wanted
        assert bench.service.balances == {"r1-a1": 2200}
        assert result.status is Status.HOLDS

    run(story)


def test_asking_again_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that never answers makes the run unknown, not endless."""

    async def story(bench: Bench) -> None:
        monkeypatch.setattr(deeds, "AGAIN_S", 0.0)
        bench.service.unheard = 1000
        result = await bench.carry_out(*PAID)
        assert len(bench.service.keys) == 1 + deeds.ATTEMPTS
        assert "never once done: top_up" in unknowns(result)["operations-are-done"]

    run(story)


def test_an_invariant_that_raises_makes_the_run_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its traceback; the others still say what they have to say."""

    async def story(bench: Bench) -> None:
        name = "credited-at-most-once"
        stumbling = Invariant(name, "A promise.", (), broken_step)
        monkeypatch.setitem(INVARIANTS._items, name, stumbling)
        result = await bench.carry_out(*PAID)
        assert list(unknowns(result)) == [name]
        assert "a step broke" in unknowns(result)[name]
        assert result.status is Status.UNKNOWN
        said = {verdict.invariant: verdict.status for verdict in result.verdicts}
        assert said["every-payment-is-credited"] is Status.HOLDS

    run(story)


@pytest.mark.parametrize(
    ("step", "about", "says"),
    [
        (Begin("x1", "latencey", {}), MONEY, "no fault named 'latencey'. Did you mean 'latency'?"),
        (Meanwhile("m1", (Begin("x1", "stal", {}),)), MONEY, "Did you mean 'stall'?"),
        (SLOW, ("credited-at-most-one",), "Did you mean 'credited-at-most-once'?"),
        (Begin("x1", "latency", {"link": "edge"}), MONEY, "ms"),
        (Begin("x1", "latency", {"link": "edge", "ms": 1, "speed": 3}), MONEY, "speed"),
    ],
    ids=["fault", "in the background", "invariant", "argument missing", "argument unknown"],
)
def test_a_plan_that_names_what_there_is_not_is_refused_before_anything_starts(
    step: Step, about: tuple[str, ...], says: str
) -> None:
    """Nothing has been asked of anybody, and nothing stands in the history."""

    async def story(bench: Bench) -> None:
        with pytest.raises(PlanError, match="plan 'story'") as refused:
            await bench.carry_out(*PAID, step, about=about)
        assert says in str(refused.value)
        assert (bench.service.keys, bench.weather.did, len(bench.recorder.history())) == ([], [], 0)

    run(story)


@pytest.mark.parametrize(
    ("begin", "says"),
    [(Begin("x1", "stall", {"link": "egde", "stream": "upstream"}), "edge"), (Begin("x1", "kill", {"node": "x"}), "x")],
)
def test_a_fault_on_what_the_stack_has_not_says_so(begin: Begin, says: str) -> None:
    async def story(bench: Bench) -> None:
        with pytest.raises(PlanError, match=says):
            await bench.carry_out(begin)

    run(story)


def test_a_wait_that_is_not_met_is_recorded_and_the_run_goes_on() -> None:
    async def story(bench: Bench) -> None:
        waits = (SLOW, Wait("fault-touched", 0.02, {"fault": "x1"}))
        result = await bench.carry_out(*waits, *PAID, Wait("fault-touched", 5.0, {"fault": "x1"}), End("x1"))
        assert [event["outcome"] for event in bench.events("wait")] == ["not met in 0.02 s", "met"]
        assert result.status is Status.HOLDS

    run(story)


def test_settling_is_bounded_and_its_reason_becomes_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that does not come to rest breaks the promise to settle, and says what it still waits for."""

    async def story(bench: Bench) -> None:
        monkeypatch.setattr(runner, "SETTLE_S", 0.05)
        bench.provider.restless = "1 callback in flight"
        result = await bench.carry_out(*PAID)
        (settled,) = bench.events("settled")
        assert settled["reason"] == "1 callback in flight"
        assert result.broken == {"settles-in-time"}
        assert len(bench.events("audited")) == 1, "the books are read all the same"

    run(story)


def test_a_provider_that_is_dead_attempts_no_callback() -> None:
    """To wait for its callbacks is over at once, whatever was in flight; it is started again, and the run is judged."""

    class Mortal(FakeNode):
        async def start(self) -> None:
            await super().start()
            provider.restless = None

    provider = Provider()

    async def story(bench: Bench) -> None:
        nonlocal provider
        provider = bench.provider
        provider.restless = "1 callback in flight"
        bench.nodes["provider"] = Mortal("provider")
        dead = Begin("x1", "kill", {"node": "provider"})
        await bench.carry_out(dead, Wait("callbacks-attempted", 9.0), End("x1"), *PAID)

        [waited] = bench.events("wait")
        assert waited["outcome"] == "met"
        assert bench.nodes["provider"].did == ["killed", "started"]
        assert bench.events("audited")

    run(story)
