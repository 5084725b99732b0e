"""The page as a browser without scripts sees it, and as one with them does."""

from contextlib import asynccontextmanager
from html.parser import HTMLParser

import httpx
import pytest
from provider_world import run, world

from fake_provider.app import create_app
from fake_provider.page import About
from fake_provider.page.deeds import DEEDS
from fake_provider.page.view import BUTTONS, look, money

NEW = {"amount_minor": "1000", "currency": "EUR", "account": "acc_1", "method": "card"}
SCRIPT = {"HX-Request": "true"}


@asynccontextmanager
async def paged(*answers: int | str, about: About | None = None):
    async with world(*answers) as here:
        transport = httpx.ASGITransport(create_app(here.provider, "secret", about=about))
        async with httpx.AsyncClient(transport=transport, base_url="http://provider") as client:
            yield client, here


class Forms(HTMLParser):
    """What a person could press: each button's form, with everything that it would send."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.ids: list[str] = []
        self.labelled = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        if "id" in named:
            self.ids.append(named["id"])
        if tag == "form":
            self.action, self.fields = named["action"], {}
        elif tag in ("input", "select") and "name" in named:
            self.fields[named["name"]] = named.get("value", "")
            self.select = named["name"] if tag == "select" else None
        elif tag == "option" and not self.fields.get(self.select or ""):
            self.fields[self.select or ""] = named.get("value", "unsigned")
        elif tag == "button" and "disabled" not in named:
            pressed = {named["name"]: named["value"]} if "name" in named else {}
            self.found.append((self.action, self.fields | pressed))


def which(form: tuple[str, dict[str, str]]) -> tuple[str, str]:
    """The same button, on whatever payment it is."""
    action, fields = form
    return action, fields.get("move") or fields.get("how") or fields.get("to") or ""


def test_an_empty_page_says_what_to_do_first():
    async def story():
        async with paged() as (client, _):
            page = (await client.get("/")).text
            assert "None yet." in page
            assert "At rest" in page

    run(story())


def test_every_button_does_something():
    """Each is pressed as a browser without scripts would: none is refused, and the page is there again."""

    async def story():
        async with paged(204) as (client, here):
            pressed: set[tuple[str, str]] = set()
            for method in ("card", "card", "card", "redirect", "redirect"):
                await client.post("/page/create", data=NEW | {"method": method})
            await here.landed()
            here.provider.dispute(next(iter(here.provider.book)).id, 500)
            here.put_on("delay")
            here.put_on("delay")  # one of them will be ended
            while new := [each for each in Forms((await client.get("/")).text).found if which(each) not in pressed]:
                pressed.add(which(new[0]))
                answer = await client.post(new[0][0], data=new[0][1], headers=SCRIPT)
                assert answer.status_code == 200
                assert 'class="said bad"' not in answer.text, (new[0], answer.text[:300])
                await here.landed()
            assert {action.removeprefix("/page/") for action, _ in pressed} == set(DEEDS)
            assert {what for action, what in pressed if action == "/page/move"} == set(BUTTONS)

    run(story())


def test_a_payment_shows_all_that_was_sent_about_it_and_what_is_to_come():
    async def story():
        async with paged(500) as (client, here):
            await client.post("/page/create", data=NEW)
            await here.landed()
            page = (await client.get("/")).text
            assert "10.00 EUR" in page
            assert "pending → captured (card charged)" in page
            assert '<span class="verdict bad">not acknowledged</span>' in page
            assert "payment.captured, attempt 2" in page
            assert "in 5 s" in page
            one = (await client.get("/page/deliveries/d1")).text
            assert "webhook-signature: v1," in one
            assert "no acknowledgement" in one

    run(story())


@pytest.mark.parametrize(
    ("status", "verdict"), [(400, "forgery refused"), (204, "forgery accepted"), ("hang", "forgery refused")]
)
def test_what_became_of_a_forgery_is_said(status, verdict):
    async def story():
        async with paged(204, status) as (client, here):
            await client.post("/page/create", data=NEW)
            await here.landed()
            (payment,) = here.provider.book
            said = await client.post(
                "/page/forge", data={"payment": payment.id, "forgery": "wrong-key"}, headers=SCRIPT
            )
            assert f"the forgery wrong-key was {verdict.split()[1]}" in said.text
            assert verdict in (await client.get("/")).text

    run(story())


def test_what_has_not_changed_is_not_sent_again():
    async def story():
        async with paged() as (client, here):
            first = await client.get("/page/live?seen=nothing")
            seen = first.text.partition("seen=")[2].partition('"')[0]
            assert (await client.get(f"/page/live?seen={seen}")).status_code == 204
            await here.create()
            await here.landed()
            assert (await client.get(f"/page/live?seen={seen}")).status_code == 200

    run(story())


def test_what_is_refused_is_said_and_changes_nothing():
    async def story():
        async with paged() as (client, here):
            for deed, form, says in (
                ("create", NEW | {"amount_minor": "-1"}, "whole number of minor units"),
                ("create", NEW | {"currency": "euro"}, "ISO 4217"),
                ("put-on", {"mood": "dellay"}, "did you mean &#39;delay&#39;"),
                ("put-on", {"mood": "duplicate", "args": "copies=1"}, "from 2 to 100"),
                ("move", {"payment": "pay_x", "move": "pay"}, "there is no payment"),
                ("send", {"delivery": "d7", "how": "resend"}, "there is no delivery"),
            ):
                answer = await client.post(f"/page/{deed}", data=form, headers=SCRIPT)
                assert answer.status_code == 200
                assert 'class="said bad"' in answer.text
                assert says in answer.text, answer.text[:200]
            assert list(here.provider.book) == []
            assert here.provider.moods() == {}
            assert (await client.post("/page/nothing")).status_code == 404

    run(story())


def test_another_site_cannot_press_the_buttons():
    async def story():
        async with paged() as (client, here):
            answer = await client.post("/page/create", data=NEW, headers={"Origin": "http://elsewhere.example"})
            assert answer.status_code == 403
            assert list(here.provider.book) == []
            own = await client.post("/page/create", data=NEW, headers={"Origin": "http://provider"})
            assert own.status_code == 303

    run(story())


def test_what_others_wrote_is_shown_and_never_run():
    async def story():
        async with paged(500, about=About()) as (client, here):
            await client.post("/page/create", data=NEW | {"reference": "<script>alert(1)</script>"})
            await here.landed()
            answer = await client.get("/")
            assert "<script>alert" not in answer.text
            assert "&lt;script&gt;alert" in answer.text
            assert "default-src 'self'" in answer.headers["content-security-policy"]
            assert "<script>alert" not in (await client.get("/page/deliveries/d1")).text

    run(story())


def test_ids_on_the_page_are_unique():
    async def story():
        async with paged() as (client, here):
            for _ in range(3):
                await client.post("/page/create", data=NEW)
            here.put_on("delay")
            await here.landed()
            ids = Forms((await client.get("/")).text).ids
            assert len(ids) == len(set(ids))

    run(story())


def test_all_that_the_page_needs_is_in_the_package():
    async def story():
        async with paged() as (client, _):
            page = (await client.get("/")).text
            assert "http://" not in page.replace("http-equiv", ""), "nothing comes from elsewhere"
            for name in ("page.css", "htmx.min.js", "htmx.LICENSE"):
                assert (await client.get(f"/page/static/{name}")).status_code == 200

    run(story())


def test_a_neighbours_panel_is_shown_where_there_is_one():
    async def story():
        async with paged(about=About(panel_url="http://127.0.0.1:9/weather")) as (client, _):
            assert '<iframe class="panel" src="http://127.0.0.1:9/weather"' in (await client.get("/")).text
        async with paged() as (client, _):
            assert "<iframe" not in (await client.get("/")).text

    run(story())


def test_only_the_newest_are_shown_and_the_others_counted():
    async def story():
        async with paged() as (client, here):
            for _ in range(27):
                await here.create("redirect")
            view = look(here.provider)
            assert (len(view.payments), view.older, view.payments[0].reference) == (25, 2, "tu_27")
            assert "2 older ones" in (await client.get("/")).text

    run(story())


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [(1000, "EUR", "10.00 EUR"), (5, "USD", "0.05 USD"), (1234567, "JPY", "1,234,567 JPY"), (1, "KWD", "0.001 KWD")],
)
def test_money_is_written_with_the_decimals_of_its_currency(minor, currency, shown):
    assert money(minor, currency) == shown
