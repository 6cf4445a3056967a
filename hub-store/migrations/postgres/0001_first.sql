CREATE TABLE users (
    id            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name          TEXT COLLATE "C" NOT NULL UNIQUE,
    -- The name as searches see it. Folded by the hub, since what the engines
    -- call lower case depends on their build and locale.
    name_folded   TEXT COLLATE "C" NOT NULL,
    admin         BOOLEAN NOT NULL,
    created       BIGINT NOT NULL,
    last_activity BIGINT
);

-- Who an account is to an identity provider, by the provider's own stable id.
CREATE TABLE identities (
    provider TEXT NOT NULL,
    subject  TEXT NOT NULL,
    user_id  BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created  BIGINT NOT NULL,
    PRIMARY KEY (provider, subject),
    UNIQUE (user_id, provider)
);

CREATE TABLE servers (
    id            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id       BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name          TEXT COLLATE "C" NOT NULL,
    url           TEXT,
    state         TEXT NOT NULL,
    options       TEXT NOT NULL,
    outcome       TEXT,
    created       BIGINT NOT NULL,
    started       BIGINT,
    last_activity BIGINT,
    UNIQUE (user_id, name)
);
CREATE INDEX servers_started ON servers (started) WHERE started IS NOT NULL;

CREATE TABLE oauth_clients (
    id             TEXT NOT NULL PRIMARY KEY,
    description    TEXT NOT NULL,
    secret_hash    BYTEA NOT NULL CHECK (length(secret_hash) = 32),
    redirect_uri   TEXT NOT NULL,
    allowed_scopes TEXT NOT NULL,
    user_id        BIGINT REFERENCES users (id) ON DELETE CASCADE,
    server_name    TEXT,
    CHECK ((user_id IS NULL) = (server_name IS NULL))
);
CREATE INDEX oauth_clients_user ON oauth_clients (user_id);

CREATE TABLE oauth_codes (
    hash         BYTEA NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    client_id    TEXT NOT NULL REFERENCES oauth_clients (id) ON DELETE CASCADE,
    user_id      BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    session_id   TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    redirect_uri TEXT,
    challenge    TEXT,
    created      BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);
CREATE INDEX oauth_codes_client ON oauth_codes (client_id);
CREATE INDEX oauth_codes_user ON oauth_codes (user_id);
CREATE INDEX oauth_codes_expiry ON oauth_codes (expires_at);

-- The client of a token is not a reference: tokens made through the API name
-- one that is never registered.
CREATE TABLE tokens (
    id            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id       BIGINT REFERENCES users (id) ON DELETE CASCADE,
    service       TEXT,
    hash          BYTEA NOT NULL UNIQUE CHECK (length(hash) = 32),
    client_id     TEXT,
    session_id    TEXT,
    note          TEXT NOT NULL,
    scopes        TEXT NOT NULL,
    created       BIGINT NOT NULL,
    expires_at    BIGINT,
    last_activity BIGINT,
    CHECK ((user_id IS NULL) <> (service IS NULL))
);
CREATE INDEX tokens_user ON tokens (user_id);
CREATE INDEX tokens_service ON tokens (service);
CREATE INDEX tokens_client ON tokens (client_id);
CREATE INDEX tokens_expiry ON tokens (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE sessions (
    hash       BYTEA NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    user_id    BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    session_id TEXT NOT NULL,
    created    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    last_seen  BIGINT NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);
