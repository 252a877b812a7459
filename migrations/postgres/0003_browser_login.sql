-- Browsers. Instants are milliseconds since the epoch, ids and digests are bytes.

-- One row per browser in which a person is signed in.
CREATE TABLE logins (
    id BYTEA NOT NULL PRIMARY KEY,
    user_id BYTEA NOT NULL,
    secret BYTEA NOT NULL,
    auth_time BIGINT NOT NULL,
    amr TEXT NOT NULL,
    device TEXT,
    address TEXT,
    created_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    idle_expires_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at BIGINT
);
CREATE INDEX logins_user_id ON logins (user_id);
CREATE INDEX logins_expires_at ON logins (expires_at);

-- What a person has agreed that a client may do.
CREATE TABLE consents (
    user_id BYTEA NOT NULL,
    client_id TEXT COLLATE "C" NOT NULL,
    scope TEXT NOT NULL,
    audience TEXT NOT NULL,
    granted_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, client_id)
);
CREATE INDEX consents_granted_at ON consents (granted_at);

-- Authorization requests that clients have pushed (RFC 9126), until they are answered.
CREATE TABLE pushed_requests (
    digest BYTEA NOT NULL PRIMARY KEY,
    client_id TEXT NOT NULL,
    request TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX pushed_requests_expires_at ON pushed_requests (expires_at);

-- Word for clients that a session is over, until it is delivered.
CREATE TABLE logout_deliveries (
    session_id BYTEA NOT NULL PRIMARY KEY,
    client_id TEXT NOT NULL,
    user_id BYTEA NOT NULL,
    tries BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX logout_deliveries_due_at ON logout_deliveries (due_at);

-- Whether the client wants to be told when a session of it is over: 1 when it does.
ALTER TABLE clients ADD COLUMN receives_logouts BIGINT NOT NULL DEFAULT 0;

ALTER TABLE sessions ADD COLUMN login_id BYTEA;
ALTER TABLE sessions ADD COLUMN userinfo_claims TEXT;

ALTER TABLE authorization_codes ADD COLUMN login_id BYTEA;
ALTER TABLE authorization_codes ADD COLUMN nonce TEXT;
ALTER TABLE authorization_codes ADD COLUMN userinfo_claims TEXT;
ALTER TABLE authorization_codes ADD COLUMN id_token_claims TEXT;
