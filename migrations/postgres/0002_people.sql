-- People. Instants are milliseconds since the epoch, ids and digests are bytes.

CREATE TABLE users (
    id BYTEA NOT NULL PRIMARY KEY,
    username TEXT NOT NULL,
    email TEXT,
    profile TEXT NOT NULL,
    password_hash TEXT,
    password_changed_at BIGINT,
    created_at BIGINT NOT NULL,
    last_login_at BIGINT,
    disabled_at BIGINT
);

-- Usernames and e-mail addresses in the form in which they are compared. One table for both, so that
-- nobody can take another person's e-mail address for a username.
CREATE TABLE user_identifiers (
    key TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id BYTEA NOT NULL
);

-- One row per login on a device, however often its refresh token rotates. Expired rows are swept in
-- the order of ids, so nothing that changes is indexed, and an update stays within its page. Columns of
-- eight bytes come first: they are aligned.
CREATE TABLE sessions (
    generation BIGINT NOT NULL,
    rotated_at BIGINT NOT NULL,
    idle_expires_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    auth_time BIGINT NOT NULL,
    last_seen_at BIGINT,
    ended_at BIGINT,
    id BYTEA NOT NULL PRIMARY KEY,
    user_id BYTEA NOT NULL,
    client_id TEXT NOT NULL,
    secret BYTEA NOT NULL,
    rotated_with BYTEA,
    amr TEXT NOT NULL,
    scope TEXT NOT NULL,
    audience TEXT NOT NULL,
    device TEXT,
    address TEXT,
    end_reason TEXT
);
CREATE INDEX sessions_user_id ON sessions (user_id);

-- Kept for a while after they were redeemed, to notice that one is used again.
CREATE TABLE authorization_codes (
    digest BYTEA NOT NULL PRIMARY KEY,
    client_id TEXT NOT NULL,
    user_id BYTEA NOT NULL,
    scope TEXT NOT NULL,
    audience TEXT NOT NULL,
    code_challenge TEXT,
    redirect_uri TEXT,
    auth_time BIGINT NOT NULL,
    amr TEXT NOT NULL,
    device TEXT,
    address TEXT,
    expires_at BIGINT NOT NULL,
    redeemed_for BYTEA
);
CREATE INDEX authorization_codes_expires_at ON authorization_codes (expires_at);
CREATE INDEX authorization_codes_user_id ON authorization_codes (user_id);

-- Attempts to log in that were not refunded, by account, address or device.
CREATE TABLE login_attempts (
    key BYTEA NOT NULL PRIMARY KEY,
    attempts BIGINT NOT NULL,
    last_at BIGINT NOT NULL
);
CREATE INDEX login_attempts_last_at ON login_attempts (last_at);

-- Append-only. A record is written with a keyed digest of itself, and sealed a moment later: then it
-- has a number and a hash.
CREATE TABLE audit_records (
    id BYTEA NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    actor TEXT NOT NULL,
    address TEXT,
    user_id BYTEA,
    client_id TEXT,
    session_id BYTEA,
    detail TEXT,
    mac BYTEA,
    sequence BIGINT,
    hash BYTEA
);
CREATE UNIQUE INDEX audit_records_sequence ON audit_records (sequence) WHERE sequence IS NOT NULL;
CREATE INDEX audit_records_unsealed ON audit_records (id) WHERE sequence IS NULL;
CREATE INDEX audit_records_user_id ON audit_records (user_id, id) WHERE user_id IS NOT NULL;

-- One row: the end of the chain.
CREATE TABLE audit_chain (
    singleton BIGINT NOT NULL PRIMARY KEY CHECK (singleton = 1),
    sequence BIGINT NOT NULL,
    hash BYTEA NOT NULL
);
INSERT INTO audit_chain (singleton, sequence, hash)
VALUES (1, 0, decode(repeat('00', 32), 'hex'));
