-- What was said: by clients (keys), by the provider (callbacks), to customers (outbox), and what does not agree.

-- The answer lives in the row of the key, so that it is stored with the effect or not at all. The top-up's id is chosen
-- with the key, before the top-up exists: whoever resumes after a crash continues the same one.
CREATE TABLE idempotency_keys (
    customer     text NOT NULL,
    key          text NOT NULL,
    request      text NOT NULL,
    top_up       text NOT NULL UNIQUE,
    leased_until timestamptz NOT NULL,
    status       integer CHECK ((status IS NULL) = (answer IS NULL)),
    answer       text,
    PRIMARY KEY (customer, key)
);

-- One row for each delivery id, for ever. Never the payload: its digest tells whether an id comes back with other bytes.
CREATE TABLE callbacks (
    webhook_id  text PRIMARY KEY,
    sha256      text NOT NULL,
    received_at timestamptz NOT NULL,
    payment     text NOT NULL,
    outcome     text NOT NULL
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON callbacks
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE discrepancies (
    discrepancy bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payment     text NOT NULL,
    top_up      text REFERENCES top_ups,
    account     text NOT NULL,
    kind        text NOT NULL,
    expected    text NOT NULL,
    found       text NOT NULL,
    at          timestamptz NOT NULL,
    -- However often the provider repeats it, it is one disagreement.
    UNIQUE (payment, kind, found)
);
CREATE INDEX discrepancies_of ON discrepancies (account);

CREATE TABLE outbox (
    notification bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    top_up       text NOT NULL REFERENCES top_ups,
    status       text NOT NULL,
    written_at   timestamptz NOT NULL,
    sent_at      timestamptz,
    UNIQUE (top_up, status)
);
CREATE INDEX outbox_waiting ON outbox (notification) WHERE sent_at IS NULL;
