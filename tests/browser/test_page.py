"""A person in front of the page: what the browser shows while a story is played. The receiver behind it is a real one, on a
real port, that verifies signatures with the standardwebhooks package.

Needs Chromium on the path: one that is missing fails these tests, with the command that installs it.
"""

import http.server
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from standardwebhooks import Webhook, WebhookVerificationError

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
QUIET += ["--disable-component-update", "--disable-sync"]
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


class Receiver(http.server.BaseHTTPRequestHandler):
    """Says 204 to what is genuine, and 401 to everything else."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            Webhook(SECRET).verify(body, {name.lower(): value for name, value in self.headers.items()})
            self.send_response(204)
        except WebhookVerificationError:
            self.send_response(401)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing to say."""


@pytest.fixture
def receiver() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/callbacks"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def url(receiver: str) -> Iterator[str]:
    """The provider with its page, as a program of its own."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    settings = {
        "PROVIDER_PORT": str(port),
        "PROVIDER_CALLBACK_URL": receiver,
        "PROVIDER_CALLBACK_SECRET": SECRET,
    }
    program = subprocess.Popen(
        [sys.executable, "-m", "fake_provider"],
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert program.stdout is not None
    try:
        assert b"The fake provider" in program.stdout.readline(), "it greets once it serves"
        yield f"http://127.0.0.1:{port}/"
    finally:
        program.kill()
        program.communicate()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if chromium is None:
        pytest.fail(f"none of {', '.join(PROGRAMS)} is on the path: apt-get install chromium", pytrace=False)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=QUIET)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    """The page, open. What goes wrong in the browser itself fails the test that it goes wrong in."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(10_000)
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    opened.on("requestfailed", lambda request: wrong.append(request.url))
    opened.goto(url)
    yield opened
    context.close()
    assert wrong == []


def said(page: Page, words: str) -> None:
    expect(page.get_by_role("status")).to_contain_text(words)


def test_the_story_of_a_payment(page: Page) -> None:
    """Created, paid, told twice at once, forged, refunded: at each step the page shows what a person needs to know."""
    expect(page.get_by_text("None yet.")).to_be_visible()
    page.get_by_label("Paid by").select_option("redirect")
    page.get_by_label("Amount").fill("2500")
    page.get_by_role("button", name="Create payment").click()
    payment = page.get_by_role("article")
    expect(payment.get_by_role("heading", name="25.00 EUR")).to_be_visible()
    expect(payment.get_by_text("Nothing was sent about it yet.")).to_be_visible()

    payment.get_by_role("button", name="Pay", exact=True).click()
    said(page, "is captured")
    callbacks = payment.get_by_role("list").get_by_role("listitem")
    expect(callbacks).to_have_count(1)
    expect(callbacks.first).to_contain_text("acknowledged")
    expect(callbacks.first).to_contain_text("204")

    payment.get_by_role("button", name="Twice at once").click()
    expect(callbacks).to_have_count(3)
    expect(callbacks.nth(2)).to_contain_text("copy 3")
    expect(callbacks.nth(2)).to_contain_text("by hand")

    payment.get_by_label("Which forgery").select_option("wrong-key")
    payment.get_by_role("button", name="Forge").click()
    said(page, "the forgery wrong-key was refused: 401")
    expect(callbacks.nth(3)).to_contain_text("forgery refused")

    payment.get_by_role("button", name="Refund", exact=True).click()
    said(page, "is refunded")
    expect(callbacks.nth(4)).to_contain_text("payment.refunded")
    expect(payment.get_by_role("heading")).to_contain_text("25.00 EUR of it gone back")
    expect(payment.get_by_role("button", name="Pay", exact=True)).to_have_count(0)


def test_request_and_answer_are_shown_and_stay_open_while_news_comes(page: Page) -> None:
    page.get_by_role("button", name="Create payment").click()
    page.get_by_text("Request and answer").click()
    request = page.get_by_label("Request", exact=True)
    expect(request).to_contain_text("webhook-signature: v1,")
    expect(page.get_by_label("Answer", exact=True)).to_contain_text("204 after")
    page.get_by_label("Which forgery").select_option("unsigned")
    page.get_by_role("button", name="Create payment").click()
    expect(page.get_by_role("article")).to_have_count(2)
    expect(request).to_be_visible()
    expect(page.get_by_label("Which forgery").nth(1)).to_have_value("unsigned")


def test_news_comes_by_itself(page: Page, url: str) -> None:
    """What others do through the control API appears without a click."""
    page.get_by_role("button", name="Create payment").click()
    expect(page.get_by_role("article")).to_contain_text("acknowledged")
    with httpx.Client(base_url=url, trust_env=False) as client:
        (payment,) = client.get("/control/book").json()["payments"]
        client.post(f"/control/payments/{payment['id']}/dispute").raise_for_status()
    expect(page.get_by_role("article")).to_contain_text("dispute.opened")


def test_a_schedule_is_seen_and_played_out(page: Page) -> None:
    page.get_by_label("From now on").select_option("never-acknowledged")
    page.get_by_label("Arguments").fill("n=2")
    page.get_by_role("button", name="Put on").click()
    said(page, "the mood never-acknowledged is on")
    page.get_by_role("button", name="Create payment").click()
    callbacks = page.get_by_role("article").get_by_role("listitem")
    expect(callbacks.nth(1)).to_contain_text("to come")
    expect(callbacks.nth(1)).to_contain_text("in 5 s")
    page.get_by_role("button", name="Play all out").click()
    expect(callbacks).to_have_count(3)
    expect(page.get_by_role("heading", name="Its clock")).to_contain_text("2026-01-01 00:05:05")
    expect(page.get_by_text("At rest")).to_be_visible()


def test_it_works_by_keyboard(page: Page) -> None:
    """Focus is seen, stays on a pressed button when the page is swapped beneath it, and Enter presses."""
    page.get_by_label("Amount").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("article")).to_have_count(1)
    hour = page.get_by_role("button", name="+1 hour")
    hour.focus()
    for o_clock in ("01:00:00", "02:00:00"):
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Its clock")).to_contain_text(o_clock)
    expect(hour).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overflows_and_everything_can_be_read(page: Page, width: int, scheme: str) -> None:
    """No sideways scrolling, and a contrast of at least 4.5 to 1 (WCAG 2.2, 1.4.3) between each text and what is behind it."""
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.get_by_role("button", name="Create payment").click()
    page.get_by_label("Which forgery").select_option("wrong-key")
    page.get_by_role("button", name="Forge").click()
    expect(page.get_by_text("forgery refused")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(PALE) == []


def test_every_field_and_button_has_a_name(page: Page) -> None:
    page.get_by_role("button", name="Create payment").click()
    expect(page.get_by_role("article")).to_contain_text("acknowledged")  # from then on nothing moves by itself
    for role in ("button", "textbox", "combobox", "spinbutton", "article", "list"):
        for element in page.get_by_role(role).all():  # type: ignore[arg-type]  # a literal type, and these are of it
            snapshot = element.aria_snapshot()
            assert snapshot, f"{role}: {element.evaluate('node => node.outerHTML')}"
            name = snapshot.splitlines()[0]
            assert '"' in name or role == "list", name


# Texts whose contrast with the nearest opaque background is below 4.5, by the formula of WCAG 2.2.
PALE = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = css => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = css; canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data; };
  const light = ([r, g, b]) => { const [x, y, z] = [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * x + 0.7152 * y + 0.0722 * z; };
  const behind = node => { for (let each = node; each; each = each.parentElement) {
    const color = rgba(getComputedStyle(each).backgroundColor); if (color[3] === 255) return color; }
    return rgba('white'); };
  const texts = [...document.querySelectorAll('body *')].filter(each => each.offsetParent && !each.disabled &&
    [...each.childNodes].some(child => child.nodeType === 3 && child.textContent.trim()));
  if (texts.length < 20) return ['too few texts were found'];
  return texts.map(each => { const [a, b] = [light(rgba(getComputedStyle(each).color)), light(behind(each))]
    .sort((x, y) => y - x); return [(a + 0.05) / (b + 0.05), each.textContent.trim().slice(0, 40)]; })
    .filter(([ratio]) => ratio < 4.5);
}"""
