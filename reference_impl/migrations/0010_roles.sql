-- One role for each job, and to each what its job needs: a hole in the one that talks to customers credits nobody.
--
-- Roles belong to the cluster: another database of it may have made them already, or may be making them now. Nobody logs in as
-- one of them. A connection takes its role when it is opened; whoever logs in has to be a member, and here becomes one: without
-- inheriting, for then it would be under their policies while it is itself. (That can be said since PostgreSQL 16.)
DO $$
DECLARE
    job text;
BEGIN
    FOREACH job IN ARRAY ARRAY['topup_api', 'topup_callbacks', 'topup_reconciler', 'topup_reader'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', job);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
        IF NOT pg_has_role(current_user, job, 'SET') THEN
            EXECUTE format('GRANT %I TO CURRENT_USER WITH INHERIT FALSE, SET TRUE', job);
        END IF;
    END LOOP;
END $$;

-- The API stores wishes. It posts nothing, claims nothing, moves no balance. `opened_at` is for the lock that a refund takes on
-- its account: PostgreSQL gives no lock to who may change nothing.
GRANT SELECT ON accounts, top_ups, transitions, postings, entries, refunds, discrepancies, api_keys TO topup_api;
GRANT SELECT, INSERT, UPDATE ON idempotency_keys TO topup_api;
GRANT INSERT ON accounts, top_ups, transitions, outbox, refunds TO topup_api;
GRANT UPDATE (opened_at) ON accounts TO topup_api;
GRANT UPDATE (state, payment) ON top_ups TO topup_api;
GRANT UPDATE (state, provider_refund) ON refunds TO topup_api;

-- Callbacks credit and take back, and have customers told.
GRANT SELECT ON accounts, top_ups, claims, postings, entries, callbacks, kept_back, outbox TO topup_callbacks;
GRANT INSERT ON claims, postings, entries, callbacks, transitions, discrepancies, kept_back, outbox TO topup_callbacks;
GRANT UPDATE (balance_minor) ON accounts TO topup_callbacks;
GRANT UPDATE (state, payment) ON top_ups TO topup_callbacks;
GRANT UPDATE (sent_at) ON outbox TO topup_callbacks;

-- The reconciler settles what was left, compares, and posts what operators correct.
GRANT SELECT ON accounts, top_ups, claims, postings, entries, callbacks, refunds, discrepancies, findings, reconciliations,
    adjustments, reading TO topup_reconciler;
GRANT INSERT ON claims, postings, entries, transitions, outbox, findings, reconciliations, adjustments, reading
    TO topup_reconciler;
GRANT UPDATE (balance_minor) ON accounts TO topup_reconciler;
GRANT UPDATE (state, payment) ON top_ups TO topup_reconciler;
GRANT UPDATE (state, provider_refund) ON refunds TO topup_reconciler;
GRANT UPDATE (posting, posted_at, approved_by) ON adjustments TO topup_reconciler;
GRANT UPDATE (position) ON reading TO topup_reconciler;

-- Whoever looks, at a terminal or from a dashboard, changes nothing and sees no key.
GRANT SELECT ON accounts, top_ups, transitions, claims, postings, entries, idempotency_keys, callbacks, discrepancies, outbox,
    refunds, reading, reconciliations, findings, adjustments, kept_back, deployment, migrations, principals TO topup_reader;
