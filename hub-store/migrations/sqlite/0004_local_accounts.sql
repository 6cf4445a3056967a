-- Accounts that people have with the hub itself. They refer to no user: one that
-- waits for approval is nobody's yet.
CREATE TABLE local_accounts (
    id      TEXT    NOT NULL PRIMARY KEY,
    name    TEXT    NOT NULL UNIQUE,
    hash    TEXT    NOT NULL,
    status  TEXT    NOT NULL CHECK (status IN ('active', 'waiting', 'closed')),
    created INTEGER NOT NULL,
    -- When the password was set last.
    changed INTEGER NOT NULL
) STRICT;
CREATE INDEX local_accounts_status ON local_accounts (status);

-- Failed tries to sign in, of an account or from an address.
CREATE TABLE login_tries (
    key        TEXT    NOT NULL PRIMARY KEY,
    tries      TEXT    NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX login_tries_expiry ON login_tries (expires_at);

-- Secret links: invitations, the first administrator's set-up, resets.
CREATE TABLE tickets (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    hash       BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    kind       TEXT    NOT NULL,
    purpose    TEXT    NOT NULL,
    account_id TEXT    REFERENCES local_accounts (id) ON DELETE CASCADE,
    created    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    uses_left  INTEGER NOT NULL CHECK (uses_left >= 0)
) STRICT;
CREATE INDEX tickets_account ON tickets (account_id);
CREATE INDEX tickets_expiry ON tickets (expires_at);

-- What is kept of a sign-in, sealed by the hub.
CREATE TABLE auth_states (
    user_id INTEGER NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    sealed  TEXT    NOT NULL,
    changed INTEGER NOT NULL
) STRICT;
