//! Every statement, in the subset that SQLite and PostgreSQL share. A test prepares each of them
//! on both.

/// Declares constants and the list that the test walks.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)+) => {
        $($(#[$doc])* pub(super) const $name: &str = $sql;)+
        /// Every portable statement with its name.
        pub const ALL: &[(&str, &str)] = &[$((stringify!($name), $name)),+];
    };
}

statements! {
    FIND_MASTER_KEY_FINGERPRINT =
        "SELECT master_key_fingerprint FROM installation WHERE singleton = 1";
    CLAIM_FOR_MASTER_KEY =
        "INSERT INTO installation (singleton, master_key_fingerprint) VALUES (1, $1) \
         ON CONFLICT (singleton) DO NOTHING";

    READ_VERSIONS = "SELECT name, version FROM watched_versions";
    /// Taken first in a transition: on PostgreSQL the row lock puts transitions in commit order.
    NEXT_CLIENTS_VERSION =
        "UPDATE watched_versions SET version = version + 1 WHERE name = 'clients' \
         RETURNING version";
    /// The compare-and-swap of the key table: no row when another replica was first.
    NEXT_KEYS_VERSION_AFTER =
        "UPDATE watched_versions SET version = version + 1 \
         WHERE name = 'keys' AND version = $1";

    /// A client that was deleted gives its id free; no row when the id is taken.
    INSERT_CLIENT =
        "INSERT INTO clients (id, metadata, created_at, version) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (id) DO UPDATE SET metadata = excluded.metadata, \
         created_at = excluded.created_at, version = excluded.version, disabled_at = NULL, \
         deleted_at = NULL WHERE clients.deleted_at IS NOT NULL";
    FIND_CLIENT =
        "SELECT c.id, c.metadata, c.created_at, c.disabled_at, c.deleted_at, c.version, \
         s.id AS secret_id, s.digest, s.created_at AS secret_created_at, s.expires_at, \
         s.last_used_at FROM clients c LEFT JOIN client_secrets s ON s.client_id = c.id \
         WHERE c.id = $1 AND c.deleted_at IS NULL ORDER BY s.created_at";
    LIST_CLIENTS =
        "SELECT c.id, c.metadata, c.created_at, c.disabled_at, c.deleted_at, c.version, \
         s.id AS secret_id, s.digest, s.created_at AS secret_created_at, s.expires_at, \
         s.last_used_at FROM (SELECT * FROM clients WHERE id > $1 AND deleted_at IS NULL \
         ORDER BY id LIMIT $2) c LEFT JOIN client_secrets s ON s.client_id = c.id \
         ORDER BY c.id, s.created_at";
    LIST_CHANGED_CLIENTS =
        "SELECT c.id, c.metadata, c.created_at, c.disabled_at, c.deleted_at, c.version, \
         s.id AS secret_id, s.digest, s.created_at AS secret_created_at, s.expires_at, \
         s.last_used_at FROM (SELECT * FROM clients WHERE version > $1 \
         ORDER BY version LIMIT $2) c LEFT JOIN client_secrets s ON s.client_id = c.id \
         ORDER BY c.version, s.created_at";
    CLIENT_EXISTS = "SELECT id FROM clients WHERE id = $1 AND deleted_at IS NULL";
    DISABLE_CLIENT =
        "UPDATE clients SET disabled_at = $2, version = $3 \
         WHERE id = $1 AND disabled_at IS NULL AND deleted_at IS NULL";
    ENABLE_CLIENT =
        "UPDATE clients SET disabled_at = NULL, version = $2 \
         WHERE id = $1 AND disabled_at IS NOT NULL AND deleted_at IS NULL";
    DELETE_CLIENT =
        "UPDATE clients SET deleted_at = $2, version = $3 WHERE id = $1 AND deleted_at IS NULL";
    TOUCH_CLIENT = "UPDATE clients SET version = $2 WHERE id = $1 AND deleted_at IS NULL";

    INSERT_FIRST_SECRET =
        "INSERT INTO client_secrets (id, client_id, digest, created_at) VALUES ($1, $2, $3, $4)";
    DELETE_EXPIRED_SECRETS = "DELETE FROM client_secrets WHERE client_id = $1 AND expires_at <= $2";
    /// Makes room for a new secret by force: ends all live ones but the newest.
    END_OLDER_SECRETS =
        "UPDATE client_secrets SET expires_at = $2 WHERE client_id = $1 AND id <> \
         (SELECT id FROM client_secrets WHERE client_id = $1 \
         ORDER BY created_at DESC, id DESC LIMIT 1) \
         AND (expires_at IS NULL OR expires_at > $2)";
    /// No row when two secrets are live.
    INSERT_FURTHER_SECRET =
        "INSERT INTO client_secrets (id, client_id, digest, created_at) \
         SELECT $1, $2, $3, $4 WHERE (SELECT COUNT(*) FROM client_secrets \
         WHERE client_id = $2 AND (expires_at IS NULL OR expires_at > $4)) < $5";
    /// A secret that ends sooner already keeps its end.
    SCHEDULE_END_OF_OTHER_SECRETS =
        "UPDATE client_secrets SET expires_at = $3 WHERE client_id = $1 AND id <> $2 \
         AND (expires_at IS NULL OR expires_at > $3)";
    DELETE_SECRETS = "DELETE FROM client_secrets WHERE client_id = $1";
    RECORD_SECRET_USE =
        "UPDATE client_secrets SET last_used_at = $2 \
         WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)";

    LIST_SIGNING_KEYS =
        "SELECT kid, algorithm, slot, public_jwk, sealed_private, created_at, active_from, \
         retires_at, removed_at, revoked_at FROM signing_keys ORDER BY algorithm, slot";
    INSERT_SIGNING_KEY =
        "INSERT INTO signing_keys (kid, algorithm, slot, public_jwk, sealed_private, created_at, \
         active_from, retires_at, removed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    RESCHEDULE_SIGNING_KEY =
        "UPDATE signing_keys SET active_from = $2, retires_at = $3, removed_at = $4 \
         WHERE kid = $1 AND revoked_at IS NULL";
    REVOKE_SIGNING_KEY =
        "UPDATE signing_keys SET revoked_at = $2 WHERE kid = $1 AND revoked_at IS NULL";
    DESTROY_PRIVATE_KEY = "UPDATE signing_keys SET sealed_private = NULL WHERE kid = $1";
}

// --- What only one of the databases needs ------------------------------------------------------

/// Takes the write lock at once, so that a transaction never has to be given up half way.
pub(super) const SQLITE_BEGIN: &str = "BEGIN IMMEDIATE";
pub(super) const SQLITE_SAVEPOINT: &str = "SAVEPOINT transition";
pub(super) const SQLITE_ROLLBACK_TO_SAVEPOINT: &str = "ROLLBACK TO transition";
pub(super) const SQLITE_RELEASE_SAVEPOINT: &str = "RELEASE transition";
pub(super) const SQLITE_COMMIT: &str = "COMMIT";
pub(super) const SQLITE_ROLLBACK: &str = "ROLLBACK";

pub(super) const POSTGRES_TIME: &str =
    "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";
