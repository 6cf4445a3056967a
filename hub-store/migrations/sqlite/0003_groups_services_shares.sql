ALTER TABLE servers ADD COLUMN display_name TEXT;
-- The service it is; a client is either a server's or a service's.
ALTER TABLE oauth_clients ADD COLUMN service TEXT;

-- Not called groups, which is a word of SQL.
CREATE TABLE user_groups (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL UNIQUE,
    properties TEXT    NOT NULL
) STRICT;

CREATE TABLE group_members (
    group_id INTEGER NOT NULL REFERENCES user_groups (id) ON DELETE CASCADE,
    user_id  INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (group_id, user_id)
) STRICT;
CREATE INDEX group_members_user ON group_members (user_id);

-- Who was given a role by the configuration. What a role may do is not here.
CREATE TABLE role_members (
    role     TEXT NOT NULL,
    user_id  INTEGER REFERENCES users (id) ON DELETE CASCADE,
    group_id INTEGER REFERENCES user_groups (id) ON DELETE CASCADE,
    service  TEXT,
    UNIQUE (role, user_id),
    UNIQUE (role, group_id),
    UNIQUE (role, service),
    CHECK ((user_id IS NOT NULL) + (group_id IS NOT NULL) + (service IS NOT NULL) = 1)
) STRICT;
CREATE INDEX role_members_user ON role_members (user_id);
CREATE INDEX role_members_group ON role_members (group_id);
CREATE INDEX role_members_service ON role_members (service);

-- Services that were added while the hub ran; those of the configuration are not here.
CREATE TABLE services (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    name    TEXT    NOT NULL UNIQUE,
    spec    TEXT    NOT NULL,
    created INTEGER NOT NULL
) STRICT;

-- The scopes are names without filters: the filter is the server.
CREATE TABLE shares (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    server_id INTEGER NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    user_id   INTEGER REFERENCES users (id) ON DELETE CASCADE,
    group_id  INTEGER REFERENCES user_groups (id) ON DELETE CASCADE,
    scopes    TEXT    NOT NULL,
    created   INTEGER NOT NULL,
    UNIQUE (server_id, user_id),
    UNIQUE (server_id, group_id),
    CHECK ((user_id IS NULL) <> (group_id IS NULL))
) STRICT;
CREATE INDEX shares_user ON shares (user_id);
CREATE INDEX shares_group ON shares (group_id);

CREATE TABLE share_codes (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    server_id      INTEGER NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    hash           BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    scopes         TEXT    NOT NULL,
    created        INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    exchange_count INTEGER NOT NULL,
    last_exchanged INTEGER
) STRICT;
CREATE INDEX share_codes_server ON share_codes (server_id);
CREATE INDEX share_codes_expiry ON share_codes (expires_at);
