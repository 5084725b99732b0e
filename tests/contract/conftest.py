"""One process for each set of official packages, for the whole session."""

from collections.abc import Iterator

import pytest
from official_packages import Official, answering


@pytest.fixture(scope="session")
def core() -> Iterator[Official]:
    """What gets along together: Stripe, Standard Webhooks, Adyen, Square, Paddle, GitHub, WeChat Pay, Alibaba Cloud."""
    with answering("core") as official:
        yield official


@pytest.fixture(scope="session")
def alipay_python() -> Iterator[Official]:
    with answering("alipay") as official:
        yield official


@pytest.fixture(scope="session")
def alipay_official() -> Iterator[Official]:
    """Alipay's own client for Python: half a gigabyte, of which a few files are asked."""
    with answering("alipay-official") as official:
        yield official


@pytest.fixture(scope="session")
def paypal() -> Iterator[Official]:
    with answering("paypal") as official:
        yield official


@pytest.fixture(scope="session")
def stripe_12() -> Iterator[Official]:
    """Stripe's package before it refused empty secrets."""
    with answering("stripe-12") as official:
        yield official


@pytest.fixture(scope="session")
def node() -> Iterator[Official]:
    """What the providers ship for Node."""
    with answering("node") as official:
        yield official
