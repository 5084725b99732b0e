from reference_impl.callbacks import CallbackIntake
from reference_impl.mutants import mutant


@mutant(caught_by="only-real-payments-credit", under="forged-cross-account")
class IgnoresTheMerchant(CallbackIntake):
    """Believes whatever the provider signed, whosever payment it is about: another merchant's callback credits here.

    Seen in public: github.com/woocommerce/woocommerce-gateway-stripe/pull/5545.
    """

    COMPARED = ("environment", "account", "currency", "amount_minor")
