-- The ledger, and the one guard against crediting a payment twice.

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$;

-- A customer's account keeps its balance beside its entries. A clearing account keeps none: it is touched by every
-- credit in its currency, and one row that everybody updates would make them all wait for each other.
CREATE TABLE accounts (
    account       text PRIMARY KEY CHECK (account ~ '^[A-Za-z0-9_.:-]{1,80}$'),
    kind          text NOT NULL CHECK (kind IN ('customer', 'clearing')),
    customer      text CHECK ((kind = 'customer') = (customer IS NOT NULL)),
    currency      text NOT NULL CHECK (currency IN ('EUR', 'USD', 'JPY', 'KWD')),
    balance_minor bigint CHECK ((kind = 'customer') = (balance_minor IS NOT NULL)),
    opened_at     timestamptz NOT NULL,
    UNIQUE (account, currency),
    UNIQUE (account, customer, currency)
);

INSERT INTO accounts (account, kind, currency, opened_at)
SELECT 'provider-clearing:' || currency, 'clearing', currency, now()
FROM unnest(ARRAY['EUR', 'USD', 'JPY', 'KWD']) AS currency;

CREATE TABLE top_ups (
    top_up       text PRIMARY KEY,
    customer     text NOT NULL,
    account      text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency     text NOT NULL,
    method       text NOT NULL,
    merchant     text NOT NULL,
    environment  text NOT NULL,
    state        text NOT NULL CHECK (state IN ('Created', 'Initiated', 'AwaitingPayment', 'CallbackReceived',
                                                'Credited', 'Failed', 'Reversed')),
    payment      text UNIQUE,
    correlation  text NOT NULL,
    created_at   timestamptz NOT NULL,
    -- Whoever pays owns the account that is credited, in the account's own currency.
    FOREIGN KEY (account, customer, currency) REFERENCES accounts (account, customer, currency)
);
CREATE INDEX top_ups_open ON top_ups (created_at) WHERE state NOT IN ('Credited', 'Reversed');

CREATE TABLE transitions (
    transition bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    top_up     text NOT NULL REFERENCES top_ups,
    from_state text CHECK (from_state IN ('Created', 'Initiated', 'AwaitingPayment', 'CallbackReceived',
                                          'Credited', 'Failed', 'Reversed')),
    to_state   text NOT NULL CHECK (to_state IN ('Created', 'Initiated', 'AwaitingPayment', 'CallbackReceived',
                                                 'Credited', 'Failed', 'Reversed')),
    at         timestamptz NOT NULL,
    cause      text NOT NULL,
    payload    text
);
CREATE INDEX transitions_of ON transitions (top_up, transition);

-- The claim: one row for each effect of each payment. Its primary key is the one guard against double credit, kept
-- for ever. There is deliberately no second one further down (no unique payment on postings, no trigger that compares
-- balances with sums): a second guard would hide that the first has gone.
CREATE TABLE claims (
    payment    text NOT NULL,
    effect     text NOT NULL,
    claimed_at timestamptz NOT NULL,
    PRIMARY KEY (payment, effect)
);

CREATE TABLE postings (
    posting text PRIMARY KEY,
    top_up  text NOT NULL REFERENCES top_ups,
    payment text NOT NULL,
    kind    text NOT NULL CHECK (kind IN ('credit')),
    at      timestamptz NOT NULL
);
CREATE INDEX postings_of ON postings (top_up);

CREATE TABLE entries (
    entry        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    posting      text NOT NULL REFERENCES postings,
    account      text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor <> 0),
    currency     text NOT NULL,
    -- An entry is in its account's currency.
    FOREIGN KEY (account, currency) REFERENCES accounts (account, currency)
);
CREATE INDEX entries_of_posting ON entries (posting);
CREATE INDEX entries_of_account ON entries (account);

-- Asked at COMMIT, when all legs are there: of postings, so that none stays without legs, and of entries, so that none
-- is slipped under an old posting.
CREATE FUNCTION posting_balances() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) < 2 FROM entries WHERE posting = NEW.posting)
       OR EXISTS (SELECT FROM entries WHERE posting = NEW.posting GROUP BY currency HAVING sum(amount_minor) <> 0) THEN
        RAISE EXCEPTION 'posting % does not balance', NEW.posting USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER balances AFTER INSERT ON postings
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION posting_balances();
CREATE CONSTRAINT TRIGGER balances AFTER INSERT ON entries
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION posting_balances();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON transitions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON claims
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON postings
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
