from reference_impl.callbacks import CallbackIntake
from reference_impl.mutants import mutant


@mutant(caught_by="only-real-payments-credit", under="forged-other-mode")
class IgnoresTheMode(CallbackIntake):
    """Does not ask whether it was real money: a payment of the provider's test mode credits like any other.

    Seen in public: github.com/laravel/cashier-stripe/pull/194.
    """

    COMPARED = ("merchant", "account", "currency", "amount_minor")
