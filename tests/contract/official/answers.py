"""Runs where one set of official packages is installed, and says what they make of a callback.

One question a line on standard input, one answer a line on standard output. Nothing but loopback can be reached.
"""

import base64
import json
import logging
import socket
import sys
from types import SimpleNamespace
from urllib.parse import parse_qsl

LOOPBACK = ("127.0.0.1", "::1", "localhost")
FORWARDED = {}  # addresses that stand for others, for a client that knows one port only


def connect_to_loopback_only():
    connect, resolve = socket.socket.connect, socket.getaddrinfo

    def guarded_connect(self, address):
        if isinstance(address, tuple) and address[0] not in LOOPBACK:
            raise OSError(f"a contract test must not reach {address[0]}")
        return connect(self, FORWARDED.get(address, address) if isinstance(address, tuple) else address)

    def guarded_resolve(host, *rest, **more):
        if host not in LOOPBACK:
            raise OSError(f"a contract test must not look up {host}")
        return resolve(host, *rest, **more)

    socket.socket.connect, socket.getaddrinfo = guarded_connect, guarded_resolve


def header(asked, name):
    return next((value for key, value in asked["headers"] if key.lower() == name), None)


def body(asked):
    return base64.b64decode(asked["body"])


def pem(kind, key):
    return f"-----BEGIN {kind} KEY-----\n{key}\n-----END {kind} KEY-----"


def stripe(asked):
    from stripe import Webhook

    event = Webhook.construct_event(body(asked), header(asked, "stripe-signature"), asked["key"])
    return True, json.loads(str(event))


def stripe_header_only(asked):
    from stripe import WebhookSignature

    return WebhookSignature.verify_header(body(asked).decode(), header(asked, "stripe-signature"), asked["key"]), None


def stripe_signs(asked):
    from stripe import WebhookSignature

    payload = f"{asked['timestamp']}.{body(asked).decode()}"
    return True, WebhookSignature._compute_signature(payload, asked["key"])


def stripe_client(asked):
    from stripe import StripeClient

    retries = asked.get("retries", 0)
    address = f"http://{asked['endpoint']}"
    return StripeClient(asked["secret"], base_addresses={"api": address}, max_network_retries=retries)


def stripe_calls(asked):
    """The unmodified client against the API at `endpoint`: `call` is a path such as `refunds.create`."""
    found = stripe_client(asked).v1
    for name in asked["call"].split("."):
        found = getattr(found, name)
    answer = found(*asked["args"], **({"options": asked["options"]} if asked.get("options") else {}))
    replayed = answer.last_response.headers.get("idempotent-replayed") == "true"
    return True, {"object": json.loads(str(answer)), "replayed": replayed}


def stripe_pages(asked):
    """Every page of a list, as the client turns them."""
    listed = getattr(stripe_client(asked).v1, asked["call"]).list({"limit": 2})
    return True, [each["id"] for each in listed.auto_paging_iter()]


def alipay_calls(asked):
    """The provider's own client against the gateway at `endpoint`: `call` is a name such as `TradeCreate`.

    It connects to port 80 whatever its address says, so that port leads to the gateway here, below the package.
    """
    client, of = alipay_client(asked)
    told = client.execute(alipay_request(asked, of))
    response = of("response", "Response")()
    response.parse_response_content(told)
    return response.is_success(), json.loads(response.body)


def alipay_pages(asked):
    """What the client makes for a customer's browser: a link with `http_method` GET, a form that sends itself with POST."""
    client, of = alipay_client(asked)
    return True, client.page_execute(alipay_request(asked, of), http_method=asked["http_method"])


def alipay_client(asked):
    """The client, and a way to its classes by the folder that they are in."""
    from importlib import import_module

    from alipay.aop.api.AlipayClientConfig import AlipayClientConfig
    from alipay.aop.api.DefaultAlipayClient import DefaultAlipayClient

    def of(folder, suffix):
        name = f"Alipay{asked['call']}{suffix}"
        return getattr(import_module(f"alipay.aop.api.{folder}.{name}"), name)

    config = AlipayClientConfig()
    host, port = asked["endpoint"].split(":")
    FORWARDED[host, 80] = (host, int(port))
    config.server_url = f"http://{host}/gateway.do"
    config.app_id, config.app_private_key, config.alipay_public_key = "m", asked["own_key"], asked["key"]
    return DefaultAlipayClient(config), of


def alipay_request(asked, of):
    return of("request", "Request")(biz_model=of("domain", "Model").from_alipay_dict(asked["content"]))


def standard_webhooks(asked):
    from standardwebhooks import Webhook

    return True, Webhook(asked["key"]).verify(body(asked), dict(asked["headers"]))


def adyen(asked):
    from Adyen.util import is_valid_hmac_notification

    return bool(is_valid_hmac_notification(json.loads(body(asked)), asked["key"])), None


def adyen_each(asked):
    """Item by item, for the package looks at the first of a batch only."""
    from Adyen.util import is_valid_hmac_notification

    items = json.loads(body(asked))["notificationItems"]
    found = [bool(is_valid_hmac_notification({"notificationItems": [item]}, asked["key"])) for item in items]
    return all(found), found


def square(asked):
    from square.utils.webhooks_helper import verify_signature

    accepted = verify_signature(
        request_body=body(asked).decode(),
        signature_header=header(asked, "x-square-hmacsha256-signature"),
        signature_key=asked["key"],
        notification_url=asked["url"],
    )
    return accepted, None


def paddle(asked):
    from paddle_billing.Notifications import Secret, Verifier

    signature = header(asked, "paddle-signature")
    headers = {} if signature is None else {"Paddle-Signature": signature}
    return Verifier().verify(SimpleNamespace(body=body(asked), headers=headers), Secret(asked["key"])), None


def github(asked):
    from gidgethub.sansio import validate_event

    validate_event(
        body(asked), signature=header(asked, asked.get("header", "x-hub-signature-256")), secret=asked["key"]
    )
    return True, None


def wechat_pay(asked):
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from wechatpayv3 import WeChatPay, WeChatPayType

    name, public_key, content_key = asked["key"].split(":")
    own = generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    pay = WeChatPay(
        wechatpay_type=WeChatPayType.NATIVE,
        mchid=asked["merchant"],
        private_key=own,
        cert_serial_no="0",
        apiv3_key=content_key,
        appid="wx",
        notify_url="http://127.0.0.1/",
        public_key=public_key,
        public_key_id=name,
    )
    titled = {"-".join(part.capitalize() for part in key.split("-")): value for key, value in asked["headers"]}
    found = pay.callback(titled, body(asked))
    return found is not None, found


def alipay(asked):
    from alipay import AliPay

    pay = AliPay(
        appid="2021",
        app_notify_url=None,
        app_private_key_string=pem("PRIVATE", asked["own_key"]),
        alipay_public_key_string=pem("PUBLIC", asked["key"]),
        sign_type="RSA2",
    )
    data = dict(parse_qsl(body(asked).decode(), keep_blank_values=True))
    found = dict(data)
    return pay.verify(data, data.pop("sign")), found


def paypal(asked):
    """What is fetched is the receiver's own certificate, wherever the message says that it is; `found` says where that was."""
    import requests
    from OpenSSL import crypto
    from paypalrestsdk.notifications import WebhookEvent

    webhook, der = asked["key"].split(":")
    certificate = crypto.load_certificate(crypto.FILETYPE_ASN1, base64.b64decode(der))
    text = crypto.dump_certificate(crypto.FILETYPE_PEM, certificate).decode()
    store, fetched = crypto.X509Store(), []
    store.add_cert(certificate)
    WebhookEvent._get_certificate_store = classmethod(lambda cls: store)
    requests.get = lambda url: fetched.append(url) or SimpleNamespace(text=text)
    said = [header(asked, f"paypal-{name}") for name in ("cert-url", "transmission-sig", "auth-algo")]
    id, time = header(asked, "paypal-transmission-id"), header(asked, "paypal-transmission-time")
    return WebhookEvent.verify(id, time, webhook, body(asked).decode(), *said), fetched


def acs3_signs(asked):
    from alibabacloud_tea_openapi.utils import Utils

    request = SimpleNamespace(**asked["request"])
    return True, Utils.get_authorization(request, "ACS3-HMAC-SHA256", asked["payload"], asked["id"], asked["secret"])


def acs3_calls(asked):
    from alibabacloud_tea_openapi import models
    from alibabacloud_tea_openapi.client import Client
    from darabonba.runtime import RuntimeOptions

    config = models.Config(
        access_key_id=asked["id"], access_key_secret=asked["secret"], endpoint=asked["endpoint"], protocol="http"
    )
    params = models.Params(
        action=asked["action"],
        version="2026-01-01",
        protocol="HTTP",
        pathname=asked["path"],
        method=asked["method"],
        auth_type="AK",
        style="ROA",
        req_body_type="json",
        body_type="json",
    )
    request = models.OpenApiRequest(query=asked.get("query"), body=asked.get("json"), headers=asked.get("extra"))
    runtime = RuntimeOptions(autoretry=False, max_attempts=1)
    return True, Client(config).call_api(params, request, runtime)["body"]


def answer(asked):
    try:
        accepted, found = globals()[asked["verifier"]](asked)
    except Exception as error:  # whatever a verifier throws is its verdict
        return {
            "accepted": False,
            "raised": type(error).__name__,
            "message": str(error),
            "found": getattr(error, "json_body", None),
        }
    return {"accepted": bool(accepted), "raised": None, "message": "", "found": found}


def main():
    answers, sys.stdout = sys.stdout, sys.stderr
    logging.disable()
    connect_to_loopback_only()
    for line in sys.stdin:
        answers.write(json.dumps(answer(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
