"""What was put on the wire and what came back: numbered, written to the journal, and kept for a while with its bytes.

A message that carries several events is an attempt to make each of them known: it is written down once for each.
"""

from collections import Counter
from collections.abc import Sequence

from fake_provider.archive import Archive, Attempt
from fake_provider.clock import Clocks
from fake_provider.dialects import Answer, Dialect, Wire
from fake_provider.records import Answered, Delivery, Journal
from fake_provider.shipments import Callback, Shipment, Ticket


class Attempts:
    """Those of one provider. `numbered` counts them, `copies` those of each callback's attempt."""

    def __init__(self, dialect: Dialect, clocks: Clocks, journal: Journal) -> None:
        self._dialect, self._clocks = dialect, clocks
        self.journal = journal
        self.archive = Archive()
        self.numbered = 0
        self.copies: Counter[tuple[Ticket, int]] = Counter()

    def sent(self, shipment: Shipment, wire: Wire) -> Sequence[Attempt]:
        """One copy of *shipment* leaves as *wire*: an attempt for each of its callbacks."""
        return [self._sent(shipment, each, wire) for each in shipment.callbacks]

    def forged(self, shipment: Shipment, wire: Wire, forgery: str) -> Attempt:
        """A hostile message leaves, under whatever id the forger gave it."""
        return self._note(shipment, shipment.callback, wire, self._dialect.dedup_key(wire), 1, forgery)

    def answered(self, sent: Attempt, answer: Answer, acknowledged: bool, because: str) -> None:
        sent.answer, sent.is_ack = answer, self._dialect.is_ack(answer)
        sent.acknowledged, sent.because = acknowledged, because
        self.journal.write(
            Answered(
                delivery=sent.id,
                webhook_id=sent.record.webhook_id,
                payment=sent.record.payment,
                status=answer.status,
                acknowledged=acknowledged,
                hostile=sent.record.hostile,
                because=because,
                took_s=answer.took_s,
            )
        )

    def _sent(self, shipment: Shipment, callback: Callback, wire: Wire) -> Attempt:
        self.copies[callback.ticket, callback.attempt] += 1
        copy = self.copies[callback.ticket, callback.attempt]
        return self._note(shipment, callback, wire, self._dialect.dedup_key(callback.wire), copy)

    def _note(
        self, shipment: Shipment, callback: Callback, wire: Wire, webhook_id: str, copy: int, forgery: str | None = None
    ) -> Attempt:
        notice = callback.notice
        self.numbered += 1
        record = Delivery(
            delivery=f"d{self.numbered}",
            payment=notice.payment,
            event=notice.type,
            webhook_id=webhook_id,
            attempt=callback.attempt,
            copy=copy,
            mood="+".join(shipment.moods) or None,
            hostile=forgery is not None,
            forgery=forgery,
            ignorable=forgery is not None and self._dialect.forgeries[forgery].ignorable,
            amount_minor=notice.amount_minor,
            currency=notice.currency,
            account=notice.account,
            reference=notice.reference,
            reversal=notice.refund or notice.dispute,
            signature=" ".join(self._dialect.signatures(wire)),
        )
        self.journal.write(record)
        attempt = Attempt(record, shipment, callback, wire, self._clocks.payload())
        self.archive.add(attempt)
        return attempt
