-- What is odd and is for people to look at. Nothing waits for them: the top-up goes on as any other.
CREATE TABLE reviews (
    review    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant    text NOT NULL,
    kind      text NOT NULL CHECK (kind IN ('very high amount', 'repeated failures', 'retry spike')),
    -- A top-up (tu_…) for an amount; a customer and the hour for what is repeated. However often it is found, it is one review.
    about     text NOT NULL,
    customer  text NOT NULL,
    detail    text NOT NULL,
    at        timestamptz NOT NULL,
    closed_by text,
    closed_at timestamptz,
    note      text,
    UNIQUE (tenant, kind, about),
    CHECK ((closed_by IS NULL) = (closed_at IS NULL) AND (closed_by IS NULL) = (note IS NULL))
);
CREATE INDEX reviews_open ON reviews (review) WHERE closed_at IS NULL;

-- Looked for by age. A BRIN index is a few bytes for each page of the table: initiations do not pay for it.
CREATE INDEX top_ups_by_age ON top_ups USING brin (created_at);

-- Requests that came too soon, by customer and hour: what a spike of retries is seen by.
CREATE TABLE denials (
    tenant   text NOT NULL DEFAULT acting_for(),
    customer text NOT NULL,
    hour     timestamptz NOT NULL,
    count    integer NOT NULL,
    PRIMARY KEY (tenant, customer, hour)
);

GRANT SELECT, INSERT, UPDATE ON denials TO topup_api;
GRANT SELECT ON denials TO topup_reconciler;
GRANT SELECT, INSERT ON reviews TO topup_reconciler;
GRANT UPDATE (closed_by, closed_at, note) ON reviews TO topup_reconciler;
GRANT SELECT ON reviews, denials TO topup_reader;
ALTER TABLE reviews ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE denials ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY looks ON reviews FOR SELECT TO topup_reader USING (true);
CREATE POLICY looks ON denials FOR SELECT TO topup_reader USING (true);
CREATE POLICY of_the_tenant ON denials TO topup_api USING (tenant = acting_for());
CREATE POLICY of_the_tenant_or_all ON denials TO topup_reconciler USING (acting_for() IN ('', tenant));
CREATE POLICY of_the_tenant_or_all ON reviews TO topup_reconciler USING (acting_for() IN ('', tenant));
