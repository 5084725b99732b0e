-- What reconciliation found when it compared the books, kept for ever: each run with its report, each finding once.

CREATE TABLE reconciliations (
    reconciliation bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    began_at       timestamptz NOT NULL,
    ended_at       timestamptz NOT NULL,
    asked_by       text NOT NULL,
    report         text NOT NULL
);

-- Beside `discrepancies` and not among them: those are what the service set aside on purpose when it was told; these are what
-- is wrong however it came about, and one may be the reason of the other.
CREATE TABLE findings (
    finding  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    class    text NOT NULL CHECK (class IN ('missing credit', 'duplicate credit', 'amount mismatch', 'wrong account',
                                            'status mismatch', 'balance mismatch')),
    about    text NOT NULL,
    payment  text NOT NULL,
    expected text NOT NULL,
    found    text NOT NULL,
    at       timestamptz NOT NULL,
    -- However often it is found, it is one finding.
    UNIQUE (class, about, payment, expected, found)
);

-- Which deliveries were about a payment: what a state is compared with, and what one top-up's story is told from.
CREATE INDEX callbacks_of ON callbacks (payment);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON reconciliations
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON findings
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
