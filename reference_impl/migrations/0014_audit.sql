-- Who initiated, corrected, approved, asked for reconciliation or changed the configuration (R25), kept for ever.

-- A record is written in the transaction of what it is about, so that neither is there without the other. It is not chained
-- there: a chain has one end, and everybody who adds to it would wait for everybody else until the commit.
CREATE TABLE audit_records (
    record      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL,
    actor       text NOT NULL CHECK (actor <> ''),
    tenant      text NOT NULL DEFAULT acting_for(),
    action      text NOT NULL CHECK (action <> ''),
    subject     text NOT NULL,
    detail      text NOT NULL,
    correlation text NOT NULL
);
-- The one written down last is looked at by every start.
CREATE INDEX audit_configured ON audit_records (record) WHERE action = 'configuration changed';

-- The chain: one seal for each record, in an order of its own, given afterwards to what is committed. Numbers of records say
-- nothing about the order of commits, and nothing here depends on them. `hash` is over the hash before it and the record.
CREATE TABLE audit_seals (
    seal   bigint PRIMARY KEY CHECK (seal > 0),
    record bigint NOT NULL UNIQUE REFERENCES audit_records,
    hash   text NOT NULL CHECK (hash ~ '^[0-9a-f]{64}$')
);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_records
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_seals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Whoever does something writes it down, and for its own tenant; sealing is for all, as the chain is.
ALTER TABLE audit_records ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_records FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON audit_records FOR INSERT TO topup_api WITH CHECK (tenant = acting_for());
CREATE POLICY of_the_tenant_or_all ON audit_records TO topup_reconciler USING (acting_for() IN ('', tenant));
CREATE POLICY looks ON audit_records FOR SELECT TO topup_reader USING (true);
-- A process that starts looks whether its configuration is the one written down last, and has no other connection yet.
CREATE POLICY configured ON audit_records FOR SELECT TO topup_api USING (action = 'configuration changed');
GRANT SELECT, INSERT ON audit_records TO topup_api;
GRANT SELECT, INSERT ON audit_records, audit_seals TO topup_reconciler;
GRANT SELECT ON audit_records, audit_seals TO topup_reader;
