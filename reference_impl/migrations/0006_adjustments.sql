-- Corrections: postings of their own that point at the finding they correct. Nothing that was posted before is touched.

ALTER TABLE postings DROP CONSTRAINT postings_kind_check;
ALTER TABLE postings ADD CONSTRAINT postings_kind_check
    CHECK (kind IN ('credit', 'refund', 'chargeback', 'chargeback-won', 'adjustment', 'adjustment-back'));

-- One for each finding and account: proposed again, it is the same one.
CREATE TABLE adjustments (
    finding      bigint NOT NULL REFERENCES findings,
    account      text NOT NULL REFERENCES accounts,
    amount_minor bigint NOT NULL CHECK (amount_minor <> 0),
    reason       text NOT NULL CHECK (reason <> ''),
    proposed_by  text NOT NULL,
    proposed_at  timestamptz NOT NULL,
    approved_by  text,
    posting      text REFERENCES postings,
    posted_at    timestamptz,
    PRIMARY KEY (finding, account),
    -- The second person is another one, whatever a program thinks.
    CONSTRAINT a_second_person CHECK (approved_by <> proposed_by),
    CHECK ((posting IS NULL) = (posted_at IS NULL)),
    CHECK (approved_by IS NULL OR posting IS NOT NULL)
);

-- What was proposed stays as it was; what was posted stays posted.
CREATE FUNCTION refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.posting IS NOT NULL
       OR (OLD.finding, OLD.account, OLD.amount_minor, OLD.reason, OLD.proposed_by, OLD.proposed_at)
          IS DISTINCT FROM (NEW.finding, NEW.account, NEW.amount_minor, NEW.reason, NEW.proposed_by, NEW.proposed_at) THEN
        RAISE EXCEPTION 'an adjustment is approved and posted, and never changed' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER never_rewritten BEFORE UPDATE ON adjustments FOR EACH ROW EXECUTE FUNCTION refuse_rewriting();
CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON adjustments
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
