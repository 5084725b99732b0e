-- Money that goes back: refunds and chargebacks, as postings of their own. Nothing that was posted before is touched.

-- A balance may go below zero. A bank that takes money back does not ask whether it was spent, and a ledger that refused to
-- say so would no longer be the truth: so there is no CHECK on balance_minor, and there must not be one. What this service
-- gives back of its own accord stays within the balance; `Refunds.room` sees to that, under the account's lock.
ALTER TABLE postings ADD COLUMN reversal text;
ALTER TABLE postings DROP CONSTRAINT postings_kind_check;
ALTER TABLE postings ADD CONSTRAINT postings_kind_check
    CHECK (kind IN ('credit', 'refund', 'chargeback', 'chargeback-won'));
-- The provider's id of the refund or the dispute. Not unique, as little as the payment is: the claim is the one guard.
ALTER TABLE postings ADD CONSTRAINT postings_reversal_check CHECK ((kind = 'credit') = (reversal IS NULL));

ALTER TABLE top_ups DROP CONSTRAINT top_ups_state_check;
ALTER TABLE top_ups ADD CONSTRAINT top_ups_state_check
    CHECK (state IN ('Created', 'Initiated', 'AwaitingPayment', 'CallbackReceived', 'Credited', 'Failed',
                     'PartlyReversed', 'Reversed'));
ALTER TABLE transitions DROP CONSTRAINT transitions_from_state_check;
ALTER TABLE transitions ADD CONSTRAINT transitions_from_state_check
    CHECK (from_state IN ('Created', 'Initiated', 'AwaitingPayment', 'CallbackReceived', 'Credited', 'Failed',
                          'PartlyReversed', 'Reversed'));
ALTER TABLE transitions DROP CONSTRAINT transitions_to_state_check;
ALTER TABLE transitions ADD CONSTRAINT transitions_to_state_check
    CHECK (to_state IN ('Created', 'Initiated', 'AwaitingPayment', 'CallbackReceived', 'Credited', 'Failed',
                        'PartlyReversed', 'Reversed'));
DROP INDEX top_ups_open;
CREATE INDEX top_ups_open ON top_ups (created_at) WHERE state NOT IN ('Credited', 'PartlyReversed', 'Reversed');

COMMENT ON COLUMN idempotency_keys.top_up IS 'the id of what the key stands for: a top-up (tu_…) or a refund (rf_…)';

-- What customer service asked for. The money it is about moves when the provider's refund does, by a claim like all others.
CREATE TABLE refunds (
    refund          text PRIMARY KEY,
    top_up          text NOT NULL REFERENCES top_ups,
    payment         text NOT NULL,
    account         text NOT NULL REFERENCES accounts,
    amount_minor    bigint NOT NULL CHECK (amount_minor > 0),
    currency        text NOT NULL,
    state           text NOT NULL CHECK (state IN ('Requested', 'Refunded', 'Refused')),
    provider_refund text CHECK ((provider_refund IS NOT NULL) = (state = 'Refunded')),
    correlation     text NOT NULL,
    created_at      timestamptz NOT NULL
);
CREATE INDEX refunds_of ON refunds (top_up);
CREATE INDEX refunds_unanswered ON refunds (created_at) WHERE state = 'Requested';

-- How far the provider's list of reversals was read and applied.
CREATE TABLE reading (
    list     text PRIMARY KEY,
    position bigint NOT NULL
);
