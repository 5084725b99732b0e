from typing_extensions import override

from reference_impl.access import Access, Principal
from reference_impl.api_keys import Scope
from reference_impl.mutants import mutant


@mutant(caught_by="access-is-kept", under="key-without-the-scope")
class LetsAnyKeyReconcile(Access):
    """Takes the operators' side for internal, and asks for scopes on the customers' only: whoever has a key may reconcile.

    OWASP API Security Top 10, 2023, has it as API5, broken function level authorization.
    """

    @override
    def permits(self, principal: Principal, scope: Scope) -> bool:
        """What a key is good for is what it was made for."""
        return scope is Scope.RECONCILE or scope in principal.scopes
