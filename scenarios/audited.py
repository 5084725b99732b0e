from harness.scenario import Draft, scenario


@scenario("audit-is-complete")
def audited(draft: Draft) -> None:
    """Customers pay and are given money back, an operator has the books settled and compared, and then the audit log is read."""
    refunded = draft.paid(parts=1)
    draft.refund(refunded)
    draft.quiet()
    draft.reconcile()
    draft.compare()
    draft.audit()
