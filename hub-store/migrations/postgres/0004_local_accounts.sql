-- Accounts that people have with the hub itself. They refer to no user: one that
-- waits for approval is nobody's yet.
CREATE TABLE local_accounts (
    id      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name    TEXT COLLATE "C" NOT NULL UNIQUE,
    hash    TEXT    NOT NULL,
    status  TEXT    NOT NULL CHECK (status IN ('active', 'waiting', 'closed')),
    created BIGINT NOT NULL,
    -- When the password was set last.
    changed BIGINT NOT NULL
);
CREATE INDEX local_accounts_status ON local_accounts (status);

-- Failed tries to sign in, of an account or from an address.
CREATE TABLE login_tries (
    key        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tries      TEXT    NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX login_tries_expiry ON login_tries (expires_at);

-- Secret links: invitations, the first administrator's set-up, resets.
CREATE TABLE tickets (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hash       BYTEA    NOT NULL UNIQUE CHECK (length(hash) = 32),
    kind       TEXT    NOT NULL,
    purpose    TEXT    NOT NULL,
    account_id TEXT COLLATE "C" REFERENCES local_accounts (id) ON DELETE CASCADE,
    created    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    uses_left  BIGINT NOT NULL CHECK (uses_left >= 0)
);
CREATE INDEX tickets_account ON tickets (account_id);
CREATE INDEX tickets_expiry ON tickets (expires_at);

-- What is kept of a sign-in, sealed by the hub.
CREATE TABLE auth_states (
    user_id BIGINT NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    sealed  TEXT    NOT NULL,
    changed BIGINT NOT NULL
);
