-- How often somebody asked, shared by all processes: when a bucket would be full again (the theoretical arrival time of GCRA,
-- ITU-T I.371). One that lies in the past says the same as none at all, and may be deleted at any time.
CREATE TABLE rate_limits (
    bucket  text PRIMARY KEY,
    free_at timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE, DELETE ON rate_limits TO topup_api;
GRANT SELECT ON rate_limits TO topup_reader;
CREATE INDEX rate_limits_over ON rate_limits (free_at);
