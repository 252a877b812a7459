-- People. Instants are milliseconds since the epoch, ids and digests are bytes.

CREATE TABLE users (
    id BLOB NOT NULL PRIMARY KEY,
    username TEXT NOT NULL,
    email TEXT,
    profile TEXT NOT NULL,
    password_hash TEXT,
    password_changed_at INTEGER,
    created_at INTEGER NOT NULL,
    last_login_at INTEGER,
    disabled_at INTEGER
) WITHOUT ROWID;

-- Usernames and e-mail addresses in the form in which they are compared. One table for both, so that
-- nobody can take another person's e-mail address for a username.
CREATE TABLE user_identifiers (
    key TEXT NOT NULL PRIMARY KEY,
    user_id BLOB NOT NULL
) WITHOUT ROWID;

-- One row per login on a device, however often its refresh token rotates. Expired rows are swept in
-- the order of ids, so nothing that changes is indexed.
CREATE TABLE sessions (
    id BLOB NOT NULL PRIMARY KEY,
    user_id BLOB NOT NULL,
    client_id TEXT NOT NULL,
    secret BLOB NOT NULL,
    generation INTEGER NOT NULL,
    rotated_at INTEGER NOT NULL,
    rotated_with BLOB,
    idle_expires_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    auth_time INTEGER NOT NULL,
    amr TEXT NOT NULL,
    scope TEXT NOT NULL,
    audience TEXT NOT NULL,
    device TEXT,
    address TEXT,
    last_seen_at INTEGER,
    ended_at INTEGER,
    end_reason TEXT
) WITHOUT ROWID;
CREATE INDEX sessions_user_id ON sessions (user_id);

-- Kept for a while after they were redeemed, to notice that one is used again.
CREATE TABLE authorization_codes (
    digest BLOB NOT NULL PRIMARY KEY,
    client_id TEXT NOT NULL,
    user_id BLOB NOT NULL,
    scope TEXT NOT NULL,
    audience TEXT NOT NULL,
    code_challenge TEXT,
    redirect_uri TEXT,
    auth_time INTEGER NOT NULL,
    amr TEXT NOT NULL,
    device TEXT,
    address TEXT,
    expires_at INTEGER NOT NULL,
    redeemed_for BLOB
) WITHOUT ROWID;
CREATE INDEX authorization_codes_expires_at ON authorization_codes (expires_at);
CREATE INDEX authorization_codes_user_id ON authorization_codes (user_id);

-- Attempts to log in that were not refunded, by account, address or device.
CREATE TABLE login_attempts (
    key BLOB NOT NULL PRIMARY KEY,
    attempts INTEGER NOT NULL,
    last_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX login_attempts_last_at ON login_attempts (last_at);

-- Append-only. A record is written with a keyed digest of itself, and sealed a moment later: then it
-- has a number and a hash.
CREATE TABLE audit_records (
    id BLOB NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    actor TEXT NOT NULL,
    address TEXT,
    user_id BLOB,
    client_id TEXT,
    session_id BLOB,
    detail TEXT,
    mac BLOB,
    sequence INTEGER,
    hash BLOB
) WITHOUT ROWID;
CREATE UNIQUE INDEX audit_records_sequence ON audit_records (sequence) WHERE sequence IS NOT NULL;
CREATE INDEX audit_records_unsealed ON audit_records (id) WHERE sequence IS NULL;
CREATE INDEX audit_records_user_id ON audit_records (user_id, id) WHERE user_id IS NOT NULL;

-- One row: the end of the chain.
CREATE TABLE audit_chain (
    singleton INTEGER NOT NULL PRIMARY KEY CHECK (singleton = 1),
    sequence INTEGER NOT NULL,
    hash BLOB NOT NULL
);
INSERT INTO audit_chain (singleton, sequence, hash)
VALUES (1, 0, x'0000000000000000000000000000000000000000000000000000000000000000');
