"""Callbacks in another hand."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

from fake_provider.dialects import Wire
from fake_provider.moods import Shapes, mood
from fake_provider.shipments import Shipment


@mood
@dataclass(kw_only=True, eq=False)
class Reformat(Shapes):
    """The receiver gets the same news in other bytes: indented, its fields in another order, letters outside ASCII escaped.

    They are signed as they stand, and later attempts have the same bytes. What was signed is what came, and not what a parser
    makes of it.
    """

    def shape(self, shipment: Shipment) -> Iterable[Shipment]:
        if shipment.is_replay:
            return [shipment]
        self.touched += 1
        callback = replace(shipment.callback, wire=_reformatted(shipment.callback.wire))
        return [replace(shipment.by(self.name), callback=callback)]


def _reformatted(wire: Wire) -> Wire:
    if b"json" not in (wire.header("content-type") or b""):
        return replace(wire, body=b"&".join(sorted(wire.body.split(b"&"), reverse=True)))
    document = json.loads(wire.body)
    return replace(wire, body=json.dumps(dict(sorted(document.items(), reverse=True)), indent=2).encode())
