-- Which ways of doing things are on, where there are two. A flag that has no row is as the program has it. Who changed one stands
-- in the audit log.
CREATE TABLE flags (
    flag       text PRIMARY KEY,
    is_on      boolean NOT NULL,
    changed_at timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON flags TO topup_reconciler;
GRANT SELECT ON flags TO topup_api, topup_reader;
