-- Nonces of signed requests, each kept for as long as its request would be taken by its date: so that none is taken twice, by
-- whatever process, before a restart or after it.
CREATE TABLE nonces (
    key   text NOT NULL REFERENCES api_keys,
    nonce text NOT NULL CHECK (length(nonce) BETWEEN 1 AND 128),
    until timestamptz NOT NULL,
    PRIMARY KEY (key, nonce)
);
CREATE INDEX nonces_over ON nonces (until);
GRANT SELECT, INSERT, DELETE ON nonces TO topup_api;
