from dataclasses import replace

from typing_extensions import override

from reference_impl.mutants import mutant
from reference_impl.provider import ProviderClient
from reference_impl.provider_answers import Payment
from reference_impl.topups import TopUp


@mutant(caught_by="charged-as-ordered", under="other-minor-units")
class ChargesATenth(ProviderClient):
    """Writes dinars to the provider with two minor digits: what is paid is a tenth, and is credited to nobody.

    Seen in production: github.com/InvoicePlane/InvoicePlane/issues/1677.
    """

    @override
    async def create(self, top_up: TopUp) -> Payment:
        """Have the provider take the money, or find that it has: however often this is called, once.

        An answer that says no does not undo the doubt about an attempt before it: that one may have charged.
        """
        tenth = top_up.amount_minor // 10 if top_up.currency == "KWD" else top_up.amount_minor
        return await super().create(replace(top_up, amount_minor=tenth))
