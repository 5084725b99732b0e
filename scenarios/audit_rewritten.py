from harness.scenario import Draft, scenario


@scenario("tampering-is-found", "audit-is-complete")
def audit_rewritten(draft: Draft) -> None:
    """Somebody who owns the database puts another name into the audit log, reads it, and puts the old one back."""
    draft.reconcile()
    draft.audit()
    with draft.fault("rewrite"):
        draft.audit()
    draft.paid()
    draft.audit()
