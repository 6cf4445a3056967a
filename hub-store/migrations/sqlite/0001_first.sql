CREATE TABLE users (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT    NOT NULL UNIQUE,
    -- The name as searches see it. Folded by the hub, since what the engines
    -- call lower case depends on their build and locale.
    name_folded   TEXT    NOT NULL,
    admin         INTEGER NOT NULL CHECK (admin IN (0, 1)),
    created       INTEGER NOT NULL,
    last_activity INTEGER
) STRICT;

-- Who an account is to an identity provider, by the provider's own stable id.
CREATE TABLE identities (
    provider TEXT    NOT NULL,
    subject  TEXT    NOT NULL,
    user_id  INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created  INTEGER NOT NULL,
    PRIMARY KEY (provider, subject),
    UNIQUE (user_id, provider)
) STRICT;

CREATE TABLE servers (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id       INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name          TEXT    NOT NULL,
    url           TEXT,
    state         TEXT    NOT NULL,
    options       TEXT    NOT NULL,
    outcome       TEXT,
    created       INTEGER NOT NULL,
    started       INTEGER,
    last_activity INTEGER,
    UNIQUE (user_id, name)
) STRICT;
CREATE INDEX servers_started ON servers (started) WHERE started IS NOT NULL;

CREATE TABLE oauth_clients (
    id             TEXT NOT NULL PRIMARY KEY,
    description    TEXT NOT NULL,
    secret_hash    BLOB NOT NULL CHECK (length(secret_hash) = 32),
    redirect_uri   TEXT NOT NULL,
    allowed_scopes TEXT NOT NULL,
    user_id        INTEGER REFERENCES users (id) ON DELETE CASCADE,
    server_name    TEXT,
    CHECK ((user_id IS NULL) = (server_name IS NULL))
) STRICT;
CREATE INDEX oauth_clients_user ON oauth_clients (user_id);

CREATE TABLE oauth_codes (
    hash         BLOB    NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    client_id    TEXT    NOT NULL REFERENCES oauth_clients (id) ON DELETE CASCADE,
    user_id      INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    session_id   TEXT    NOT NULL,
    scopes       TEXT    NOT NULL,
    redirect_uri TEXT,
    challenge    TEXT,
    created      INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX oauth_codes_client ON oauth_codes (client_id);
CREATE INDEX oauth_codes_user ON oauth_codes (user_id);
CREATE INDEX oauth_codes_expiry ON oauth_codes (expires_at);

-- The client of a token is not a reference: tokens made through the API name
-- one that is never registered.
CREATE TABLE tokens (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id       INTEGER REFERENCES users (id) ON DELETE CASCADE,
    service       TEXT,
    hash          BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    client_id     TEXT,
    session_id    TEXT,
    note          TEXT    NOT NULL,
    scopes        TEXT    NOT NULL,
    created       INTEGER NOT NULL,
    expires_at    INTEGER,
    last_activity INTEGER,
    CHECK ((user_id IS NULL) <> (service IS NULL))
) STRICT;
CREATE INDEX tokens_user ON tokens (user_id);
CREATE INDEX tokens_service ON tokens (service);
CREATE INDEX tokens_client ON tokens (client_id);
CREATE INDEX tokens_expiry ON tokens (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE sessions (
    hash       BLOB    NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    session_id TEXT    NOT NULL,
    created    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);
