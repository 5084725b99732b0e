"""News: authentic and fresh, and no reason to move money: said before, not final, or about nobody."""

from fake_provider.news import News
from harness.engines.fuzz.attack import Attack, DoesNotFit, Expect, Scene, attack
from harness.engines.fuzz.door import Shot


def _replayed(scene: Scene) -> Shot:
    if scene.genuine is None:
        raise DoesNotFit("no callback was acknowledged yet")
    return scene.whole(scene.genuine)


def _said_again(scene: Scene) -> Shot:
    return scene.whole(scene.pen.sign(scene.written(scene.known)))


def _of(type: News, *, known: bool = False) -> Attack:
    word = type.value.partition(".")[2]

    def make(scene: Scene) -> Shot:
        return scene.whole(scene.pen.sign(scene.written(scene.victim if known else scene.ghost, type)))

    whom = "a payment that is not made yet" if known else "a payment that nobody has heard of"
    return attack(
        f"news/{word}" + ("" if known else "-of-nobody"),
        "B-18" if known else "B-49",
        Expect.IGNORE,
        make,
        what=f"Rightly signed: {whom} is said to be {word}.",
        correct="no balance moves: only a capture of what was ordered is credited, once",
        cwe=(841,) if known else (841, 372),
        seen=(
            "https://github.com/AI-Shipping-Labs/website/issues/1423"
            if known
            else "https://github.com/mollie/WooCommerce/issues/1252",
        ),
    )


NEWS = (
    attack(
        "news/replayed",
        "B-08",
        Expect.ACCEPT,
        _replayed,
        what="A genuine callback once more, byte for byte, while it is still fresh.",
        correct="it is acknowledged, or the provider goes on for days; no second credit",
        cwe=(837, 294),
        seen=("https://github.com/anomalyco/opencode/issues/28402",),
    ),
    attack(
        "news/said-again",
        "B-08 B-57",
        Expect.ACCEPT,
        _said_again,
        what="Genuine news that is known already, in another delivery.",
        correct="it is acknowledged, or the provider disables the endpoint; no second credit",
        cwe=(837, 394),
        seen=("https://github.com/3scale/porta/pull/3086",),
    ),
    _of(News.PENDING, known=True),
    _of(News.AUTHORISED, known=True),
    *(_of(each) for each in (News.CAPTURED, News.REFUNDED, News.DISPUTED, News.WON, News.LOST)),
)
