"""Attacks on whoever receives callbacks: what each is, which weakness it looks for, and where it was really seen.

Each forgery of a dialect names those that it plays (`Forgery.plays`). The numbers are stable: reports and scenarios refer to
them. Those missing from the row are played by moods, or by requests that no dialect is needed for. What was seen stands as
a link to whoever saw it; where there is none, it follows from the scheme itself and is shown in `tests/contract`.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attack:
    """`cwe` are numbers of the Common Weakness Enumeration, the nearest first."""

    what: str
    cwe: tuple[int, ...]
    seen: tuple[str, ...] = ()


ATTACKS: Mapping[str, Attack] = {
    "B-01": Attack(
        "the signature is left out",
        (345, 347, 862),
        ("https://www.sentinelone.com/vulnerability-database/cve-2026-0656/",),
    ),
    "B-02": Attack(
        "no secret was ever configured, and anybody can sign with the empty one",
        (1188, 345),
        (
            "https://github.com/QuantumNous/new-api/issues/4353",
            "https://www.cvelogic.com/github-advisories/GHSA-xff3-5c9p-2mr4",
        ),
    ),
    "B-03": Attack(
        "an order made at one provider is fulfilled by the callback of another",
        (863,),
        ("https://www.cvelogic.com/github-advisories/GHSA-xff3-5c9p-2mr4",),
    ),
    "B-04": Attack(
        "the message chooses an older algorithm",
        (757, 327),
        ("https://github.com/alipay/alipay-sdk-nodejs-all/issues/17",),
    ),
    "B-05": Attack(
        "signed with the key of another scheme, endpoint or tenant, or with one that is no longer good",
        (347, 807, 639),
        ("https://github.com/dj-stripe/dj-stripe/pull/1923",),
    ),
    "B-06": Attack(
        "the message says which key or certificate to verify it with",
        (295, 918),
        ("https://github.com/dubinc/dub/pull/3835",),
    ),
    "B-07": Attack("what is signed of the body is a checksum, and another body can be made to fit", (328,)),
    "B-08": Attack(
        "a genuine callback once more, while it is still fresh",
        (294, 837),
        ("https://github.com/anomalyco/opencode/issues/28402",),
    ),
    "B-09": Attack(
        "a genuine callback once more, long after",
        (294,),
        ("https://github.com/windmill-labs/windmill/pull/8596",),
    ),
    "B-10": Attack(
        "something fresh that nobody signed, beside something old that was signed",
        (345, 294),
        ("https://github.com/linear/linear/pull/1268",),
    ),
    "B-12": Attack(
        "signed for a time that is yet to come", (294,), ("https://github.com/flippercloud/flipper/pull/1022",)
    ),
    "B-13": Attack(
        "milliseconds where seconds are meant",
        (682, 20),
        ("https://github.com/openclaw/openclaw/pull/143484",),
    ),
    "B-14": Attack("a time that is no number", (20,), ("https://github.com/nextlyhq/nextly/pull/227",)),
    "B-15": Attack("one signature under several spellings or ids", (178, 837)),
    "B-16": Attack(
        "authentic, about somebody else's account",
        (639, 863),
        ("https://github.com/woocommerce/woocommerce-gateway-stripe/pull/5545",),
    ),
    "B-17": Attack(
        "authentic, from the provider's test mode",
        (841, 351, 345),
        ("https://github.com/laravel/cashier-stripe/pull/194",),
    ),
    "B-28": Attack("a key of the JSON that is there twice", (436,)),
    "B-29": Attack("a field that is there twice", (235,)),
    "B-30": Attack("a separator inside a field moves the borders of what was signed", (116, 436, 347)),
    "B-33": Attack(
        "bytes that are not in the encoding that they should be in",
        (838, 172),
        ("https://github.com/yansongda/laravel-pay/issues/19",),
    ),
    "B-40": Attack("headers that no honest client writes, to trip the one who reads them", (436, 755, 294)),
    "B-41": Attack("JSON that is nested deeper than a parser can follow", (674,)),
    "B-47": Attack("a sealed text is changed, and nobody compares the seal", (354, 347)),
    "B-48": Attack("an unsigned item rides along behind a signed one", (347,)),
    "B-55": Attack(
        "the provider itself sends a wrong signature, to see whether anybody looks",
        (754, 347),
        ("https://developers.weixin.qq.com/community/pay/article/doc/0004a879f60928d89340b8b9f64c13",),
    ),
}
