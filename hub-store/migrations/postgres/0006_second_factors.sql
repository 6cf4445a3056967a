-- What is asked of the owner of a local account after the password. The secret of their
-- app is sealed by the hub; of recovery codes there are hashes only.
CREATE TABLE second_factors (
    account_id TEXT COLLATE "C" NOT NULL PRIMARY KEY
        REFERENCES local_accounts (id) ON DELETE CASCADE,
    sealed     TEXT    NOT NULL,
    -- The time step of the last code that was accepted (RFC 6238 5.2).
    last_step  BIGINT  NOT NULL CHECK (last_step >= 0),
    -- A list of hashes in JSON.
    recovery   TEXT    NOT NULL,
    created    BIGINT  NOT NULL
);
