-- Tenants kept apart by the database itself: a statement that forgets to ask whose a row is sees its own tenant's all the same.
--
-- A connection says for whom it acts in `app.tenant`. There is deliberately no second guard in the program: it would hide that
-- this one has gone. What was there before there were tenants, and what a version writes that knows of none, is of `main`.
-- FORCE: also the owner of the tables sees nothing, so that nothing is served by mistake as the owner. (A superuser sees
-- everything, whatever a policy says: serve as none.)

ALTER TABLE accounts ADD COLUMN tenant text CHECK (tenant ~ '^[a-z][a-z0-9-]{0,31}$');
UPDATE accounts SET tenant = 'main' WHERE kind = 'customer';
ALTER TABLE accounts ADD CHECK ((kind = 'customer') = (tenant IS NOT NULL)), ADD UNIQUE (account, tenant);
ALTER TABLE top_ups ADD COLUMN tenant text NOT NULL DEFAULT 'main';
ALTER TABLE idempotency_keys ADD COLUMN tenant text NOT NULL DEFAULT 'main';
-- Whom a run was for; empty: for all, as the one on a schedule is.
ALTER TABLE reconciliations ADD COLUMN tenant text NOT NULL DEFAULT '';
-- A top-up is of its account's tenant.
ALTER TABLE top_ups ADD FOREIGN KEY (account, tenant) REFERENCES accounts (account, tenant);

CREATE FUNCTION acting_for() RETURNS text LANGUAGE sql STABLE
    RETURN coalesce(current_setting('app.tenant', true), '');
ALTER TABLE reconciliations ALTER COLUMN tenant SET DEFAULT acting_for();

DO $$
DECLARE
    own text;
BEGIN
    FOREACH own IN ARRAY ARRAY['accounts', 'top_ups', 'idempotency_keys'] LOOP
        EXECUTE format('ALTER TABLE %I ALTER COLUMN tenant SET DEFAULT coalesce(nullif(acting_for(), ''''), ''main'')', own);
    END LOOP;
    FOREACH own IN ARRAY ARRAY['accounts', 'top_ups', 'idempotency_keys', 'transitions', 'postings', 'entries', 'refunds',
                               'discrepancies', 'outbox', 'reconciliations', 'findings', 'adjustments'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', own);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', own);
        EXECUTE format('CREATE POLICY looks ON %I FOR SELECT TO topup_reader USING (true)', own);
    END LOOP;
    -- A callback is the provider's, who knows no tenants: whose it is, the stored top-up says.
    FOREACH own IN ARRAY ARRAY['accounts', 'top_ups', 'transitions', 'postings', 'entries', 'discrepancies', 'outbox'] LOOP
        EXECUTE format('CREATE POLICY of_all ON %I TO topup_callbacks USING (true)', own);
    END LOOP;
    -- The API acts for one tenant, or sees nothing. The reconciler acts for one when an operator asks, and for all by the clock.
    FOREACH own IN ARRAY ARRAY['accounts', 'top_ups', 'idempotency_keys'] LOOP
        EXECUTE format('CREATE POLICY of_the_tenant ON %I TO topup_api USING (tenant = acting_for())', own);
    END LOOP;
    FOREACH own IN ARRAY ARRAY['accounts', 'top_ups', 'reconciliations'] LOOP
        EXECUTE format('CREATE POLICY of_the_tenant_or_all ON %I TO topup_reconciler USING (acting_for() IN ('''', tenant))', own);
    END LOOP;
    -- What hangs on a top-up is whose the top-up is; who may not see it does not see what hangs on it.
    FOREACH own IN ARRAY ARRAY['transitions', 'postings', 'refunds', 'outbox'] LOOP
        EXECUTE format('CREATE POLICY of_the_tenant ON %1$I TO topup_api, topup_reconciler
                        USING (EXISTS (SELECT FROM top_ups t WHERE t.top_up = %1$I.top_up))', own);
    END LOOP;
END $$;

CREATE POLICY of_the_tenant ON entries FOR SELECT TO topup_api, topup_reconciler
    USING (EXISTS (SELECT FROM postings p WHERE p.posting = entries.posting));
-- Its posting comes to be in the same statement, where no policy sees it yet; the posting's own says whose it may be.
CREATE POLICY of_its_posting ON entries FOR INSERT TO topup_reconciler WITH CHECK (true);
CREATE POLICY of_the_tenant ON discrepancies TO topup_api, topup_reconciler
    USING (EXISTS (SELECT FROM accounts a WHERE a.account = discrepancies.account));
CREATE POLICY of_the_tenant_or_all ON findings TO topup_reconciler
    USING (acting_for() = '' OR EXISTS (SELECT FROM top_ups t WHERE t.top_up = findings.about)
                             OR EXISTS (SELECT FROM accounts a WHERE a.account = findings.about));
CREATE POLICY of_the_tenant ON adjustments TO topup_reconciler
    USING (EXISTS (SELECT FROM findings f WHERE f.finding = adjustments.finding)
       AND EXISTS (SELECT FROM accounts a WHERE a.account = adjustments.account));
