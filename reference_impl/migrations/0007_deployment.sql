-- Whose database this is: one row, written by the first service that starts on it. Another environment's service refuses to.
CREATE TABLE deployment (
    one         boolean PRIMARY KEY DEFAULT true CHECK (one),
    environment text NOT NULL,
    stamped_at  timestamptz NOT NULL
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON deployment
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
