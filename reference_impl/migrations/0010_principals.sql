-- Who may ask: principals, each of one tenant, and their keys. A key itself is nowhere in here: only its digest.
CREATE TABLE principals (
    principal text PRIMARY KEY CHECK (principal ~ '^[A-Za-z0-9_.-]{1,64}$'),
    tenant    text NOT NULL CHECK (tenant ~ '^[a-z][a-z0-9-]{0,31}$'),
    made_at   timestamptz NOT NULL,
    UNIQUE (principal, tenant)
);

CREATE TABLE api_keys (
    key        text PRIMARY KEY CHECK (key ~ '^[a-z0-9]{1,32}$'),
    sha256     bytea NOT NULL CHECK (length(sha256) = 32),
    principal  text NOT NULL,
    tenant     text NOT NULL,
    scopes     text[] NOT NULL CHECK (scopes <@ ARRAY['initiate', 'read', 'reconcile', 'admin'] AND scopes <> '{}'),
    made_at    timestamptz NOT NULL,
    revoked_at timestamptz,
    -- A principal does not change its tenant by being given another key.
    FOREIGN KEY (principal, tenant) REFERENCES principals (principal, tenant)
);

-- A key is revoked, and nothing else ever happens to it: more rights are another key.
CREATE FUNCTION refuse_other_than_revoking() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.revoked_at IS NOT NULL
       OR (OLD.key, OLD.sha256, OLD.principal, OLD.tenant, OLD.scopes, OLD.made_at)
          IS DISTINCT FROM (NEW.key, NEW.sha256, NEW.principal, NEW.tenant, NEW.scopes, NEW.made_at) THEN
        RAISE EXCEPTION 'a key is revoked, and never changed' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER never_rewritten BEFORE UPDATE ON api_keys FOR EACH ROW EXECUTE FUNCTION refuse_other_than_revoking();
CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON api_keys
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON principals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
