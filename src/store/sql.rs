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

/// After a cut-off of everything, whoever signed in before it must sign in again; after that of a
/// client, sessions that were begun before it are over. They are as if they were not there. Takes the
/// name of the sessions.
macro_rules! not_cut_off {
    ($table:literal) => {
        concat!(
            " AND NOT EXISTS (SELECT 1 FROM cut_offs c WHERE (c.scope = 'issuer' AND c.cut_at > ",
            $table,
            ".auth_time) OR (c.scope = 'client' AND c.subject = ",
            $table,
            ".client_id AND c.cut_at > ",
            $table,
            ".created_at))"
        )
    };
}

/// The same for codes, which begin a session of today, perhaps with a login of before. They live a minute,
/// so their end tells their beginning.
macro_rules! code_not_cut_off {
    () => {
        " AND NOT EXISTS (SELECT 1 FROM cut_offs c \
         WHERE (c.scope = 'issuer' AND c.cut_at > authorization_codes.auth_time) \
         OR (c.scope = 'client' AND c.subject = authorization_codes.client_id \
         AND c.cut_at > authorization_codes.expires_at - 60000))"
    };
}

/// The same for logins, which are of no client.
macro_rules! login_not_cut_off {
    () => {
        " AND NOT EXISTS (SELECT 1 FROM cut_offs c WHERE c.cut_at > logins.auth_time \
         AND c.scope = 'issuer')"
    };
}

/// Sessions, each with whether its person may use it. Takes which ids they are to have.
macro_rules! find_sessions {
    ($ids:literal) => {
        concat!(
            "SELECT s.id, s.user_id, s.client_id, s.secret, s.generation, s.rotated_at, \
             s.rotated_with, s.idle_expires_at, s.expires_at, s.created_at, s.auth_time, s.amr, \
             s.scope, s.audience, s.device, s.address, s.last_seen_at, s.ended_at, s.end_reason, \
             s.login_id, s.userinfo_claims, s.status_index, u.id AS enabled_user FROM sessions s \
             LEFT JOIN users u ON u.id = s.user_id AND u.disabled_at IS NULL WHERE s.id ",
            $ids,
            not_cut_off!("s")
        )
    };
}

/// The one guarded statement of a rotation: where each value comes from, and the table that it comes
/// from.
macro_rules! rotate_sessions {
    ($id:literal, $from:literal, $to:literal, $at:literal, $with:literal, $idle:literal,
     $address:literal, $values:literal) => {
        concat!(
            "UPDATE sessions SET generation = ",
            $to,
            ", rotated_at = ",
            $at,
            ", rotated_with = ",
            $with,
            ", idle_expires_at = ",
            $idle,
            ", address = COALESCE(",
            $address,
            ", address)",
            $values,
            " WHERE sessions.id = ",
            $id,
            " AND generation = ",
            $from,
            " AND ended_at IS NULL AND idle_expires_at > ",
            $at,
            " AND expires_at > ",
            $at,
            " AND EXISTS (SELECT 1 FROM users WHERE users.id = sessions.user_id \
             AND users.disabled_at IS NULL)",
            not_cut_off!("sessions")
        )
    };
}

statements! {
    FIND_MASTER_KEY_FINGERPRINT =
        "SELECT master_key_fingerprint FROM installation WHERE singleton = 1";
    CLAIM_FOR_MASTER_KEY =
        "INSERT INTO installation (singleton, master_key_fingerprint) VALUES (1, $1) \
         ON CONFLICT (singleton) DO NOTHING";
    FIND_INHERITANCE = "SELECT inheritance FROM installation WHERE singleton = 1";
    RENEW_MASTER_KEY =
        "UPDATE installation SET master_key_fingerprint = $2, inheritance = $3 \
         WHERE singleton = 1 AND master_key_fingerprint = $1";

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
        "INSERT INTO clients (id, metadata, created_at, version, receives_logouts) \
         VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (id) DO UPDATE SET metadata = excluded.metadata, \
         created_at = excluded.created_at, version = excluded.version, \
         receives_logouts = excluded.receives_logouts, disabled_at = NULL, \
         deleted_at = NULL WHERE clients.deleted_at IS NOT NULL";
    FIND_CLIENT =
        "SELECT c.id, c.metadata, c.created_at, c.disabled_at, c.deleted_at, c.version, \
         s.id AS secret_id, s.digest, s.status_index, s.created_at AS secret_created_at, s.expires_at, \
         s.last_used_at FROM clients c LEFT JOIN client_secrets s ON s.client_id = c.id \
         WHERE c.id = $1 AND c.deleted_at IS NULL ORDER BY s.created_at";
    LIST_CLIENTS =
        "SELECT c.id, c.metadata, c.created_at, c.disabled_at, c.deleted_at, c.version, \
         s.id AS secret_id, s.digest, s.status_index, s.created_at AS secret_created_at, s.expires_at, \
         s.last_used_at FROM (SELECT * FROM clients WHERE id > $1 AND deleted_at IS NULL \
         ORDER BY id LIMIT $2) c LEFT JOIN client_secrets s ON s.client_id = c.id \
         ORDER BY c.id, s.created_at";
    LIST_CHANGED_CLIENTS =
        "SELECT c.id, c.metadata, c.created_at, c.disabled_at, c.deleted_at, c.version, \
         s.id AS secret_id, s.digest, s.status_index, s.created_at AS secret_created_at, s.expires_at, \
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
        "INSERT INTO client_secrets (id, client_id, digest, created_at, status_index) \
         VALUES ($1, $2, $3, $4, $5)";
    DELETE_EXPIRED_SECRETS = "DELETE FROM client_secrets WHERE client_id = $1 AND expires_at <= $2";
    /// Makes room for a new secret by force: ends all live ones but the newest.
    END_OLDER_SECRETS =
        "UPDATE client_secrets SET expires_at = $2 WHERE client_id = $1 AND id <> \
         (SELECT id FROM client_secrets WHERE client_id = $1 \
         ORDER BY created_at DESC, id DESC LIMIT 1) \
         AND (expires_at IS NULL OR expires_at > $2)";
    /// No row when two secrets are live.
    INSERT_FURTHER_SECRET =
        "INSERT INTO client_secrets (id, client_id, digest, created_at, status_index) \
         SELECT $1, $2, $3, $4, $6 WHERE (SELECT COUNT(*) FROM client_secrets \
         WHERE client_id = $2 AND (expires_at IS NULL OR expires_at > $4)) < $5";
    /// A secret that ends sooner already keeps its end.
    SCHEDULE_END_OF_OTHER_SECRETS =
        "UPDATE client_secrets SET expires_at = $3 WHERE client_id = $1 AND id <> $2 \
         AND (expires_at IS NULL OR expires_at > $3)";
    LIST_SECRETS_ENDED_AT =
        "SELECT id, status_index FROM client_secrets \
         WHERE client_id = $1 AND expires_at = $2 ORDER BY created_at, id";
    LIST_SECRETS =
        "SELECT id, status_index FROM client_secrets WHERE client_id = $1 ORDER BY created_at, id";
    RENEW_STATUS_OF_SECRET = "UPDATE client_secrets SET status_index = $2 WHERE id = $1";
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

    INSERT_USER =
        "INSERT INTO users (id, username, email, profile, password_hash, password_changed_at, \
         created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    /// No row when the name is taken.
    INSERT_IDENTIFIER =
        "INSERT INTO user_identifiers (key, user_id) VALUES ($1, $2) \
         ON CONFLICT (key) DO NOTHING";
    DELETE_IDENTIFIER = "DELETE FROM user_identifiers WHERE key = $1 AND user_id = $2";
    FIND_USER =
        "SELECT id, username, email, profile, password_hash, password_changed_at, created_at, \
         last_login_at, disabled_at FROM users WHERE id = $1";
    FIND_USER_BY_IDENTIFIER =
        "SELECT u.id, u.username, u.email, u.profile, u.password_hash, u.password_changed_at, \
         u.created_at, u.last_login_at, u.disabled_at FROM user_identifiers i \
         JOIN users u ON u.id = i.user_id WHERE i.key = $1";
    /// For [`super::transitions::accounts::KEYS_AT_A_TIME`] keys: neither database takes a list in a
    /// way that the other does, too.
    FIND_USERS_BY_IDENTIFIERS =
        "SELECT u.id, u.username, u.email, u.profile, u.password_hash, u.password_changed_at, \
         u.created_at, u.last_login_at, u.disabled_at FROM user_identifiers i \
         JOIN users u ON u.id = i.user_id WHERE i.key IN \
         ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)";
    LIST_USERS =
        "SELECT id, username, email, profile, password_hash, password_changed_at, created_at, \
         last_login_at, disabled_at FROM users WHERE id > $1 ORDER BY id LIMIT $2";
    ENABLE_USER = "UPDATE users SET disabled_at = NULL WHERE id = $1 AND disabled_at IS NOT NULL";
    DISABLE_USER = "UPDATE users SET disabled_at = $2 WHERE id = $1 AND disabled_at IS NULL";
    DELETE_USER = "DELETE FROM users WHERE id = $1";
    SET_PASSWORD =
        "UPDATE users SET password_hash = $2, password_changed_at = $3 WHERE id = $1";
    /// Guarded by the date of the password, which an upgrade of its hash leaves alone.
    REPLACE_PASSWORD =
        "UPDATE users SET password_hash = $2, password_changed_at = $3 \
         WHERE id = $1 AND password_changed_at = $4";
    UPGRADE_PASSWORD_HASH =
        "UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2";
    /// A login by the password of a certain date: also takes the row's lock, so that it comes before
    /// or after a change of the account, not in between.
    NOTE_LOGIN =
        "UPDATE users SET last_login_at = $2 \
         WHERE id = $1 AND disabled_at IS NULL AND password_changed_at = $3";
    /// Takes the lock of an enabled account's row; changes nothing.
    LOCK_ENABLED_USER =
        "UPDATE users SET disabled_at = NULL WHERE id = $1 AND disabled_at IS NULL";

    FIND_ATTEMPTS = "SELECT attempts, last_at FROM login_attempts WHERE key = $1";
    /// No row when somebody else counted in between.
    COUNT_ATTEMPT =
        "INSERT INTO login_attempts (key, attempts, last_at) VALUES ($1, $2, $3) \
         ON CONFLICT (key) DO UPDATE SET attempts = excluded.attempts, \
         last_at = excluded.last_at \
         WHERE login_attempts.attempts = $4 AND login_attempts.last_at = $5";
    REFUND_ATTEMPT =
        "UPDATE login_attempts SET attempts = attempts - 1 WHERE key = $1 AND attempts > 0";
    FORGET_ATTEMPTS = "DELETE FROM login_attempts WHERE key = $1";
    DELETE_OLD_ATTEMPTS =
        "DELETE FROM login_attempts WHERE key IN \
         (SELECT key FROM login_attempts WHERE last_at < $1 ORDER BY last_at LIMIT $2)";

    INSERT_CODE =
        "INSERT INTO authorization_codes (digest, client_id, user_id, scope, audience, \
         code_challenge, redirect_uri, auth_time, amr, device, address, expires_at, login_id, \
         nonce, userinfo_claims, id_token_claims) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";
    FIND_CODE = concat!(
        "SELECT digest, client_id, user_id, scope, audience, code_challenge, redirect_uri, \
         auth_time, amr, device, address, expires_at, redeemed_for, login_id, nonce, \
         userinfo_claims, id_token_claims FROM authorization_codes WHERE digest = $1",
        code_not_cut_off!()
    );
    /// The one use of a code (RFC 6749 §4.1.2).
    REDEEM_CODE = concat!(
        "UPDATE authorization_codes SET redeemed_for = $2 \
         WHERE digest = $1 AND redeemed_for IS NULL AND expires_at > $3",
        code_not_cut_off!()
    );
    DELETE_UNUSED_CODES_OF_USER =
        "DELETE FROM authorization_codes WHERE user_id = $1 AND redeemed_for IS NULL";
    DELETE_OLD_CODES =
        "DELETE FROM authorization_codes WHERE digest IN \
         (SELECT digest FROM authorization_codes WHERE expires_at < $1 \
         ORDER BY expires_at LIMIT $2)";

    INSERT_SESSION =
        "INSERT INTO sessions (id, user_id, client_id, secret, generation, rotated_at, \
         idle_expires_at, expires_at, created_at, auth_time, amr, scope, audience, device, \
         address, login_id, userinfo_claims, status_index) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)";
    FIND_SESSION = find_sessions!("= $1");
    LIST_SESSIONS = concat!(
        "SELECT id, user_id, client_id, secret, generation, rotated_at, rotated_with, \
         idle_expires_at, expires_at, created_at, auth_time, amr, scope, audience, device, \
         address, last_seen_at, ended_at, end_reason, login_id, userinfo_claims, status_index \
         FROM sessions \
         WHERE user_id = $1 AND ended_at IS NULL AND idle_expires_at > $2 AND expires_at > $2",
        not_cut_off!("sessions"),
        " ORDER BY id DESC LIMIT $3"
    );
    COUNT_LIVE_SESSIONS = concat!(
        "SELECT COUNT(*) AS live FROM sessions \
         WHERE ended_at IS NULL AND idle_expires_at > $1 AND expires_at > $1",
        not_cut_off!("sessions")
    );
    /// The compare-and-swap of rotation: one statement, every guard in it.
    ROTATE_SESSION = rotate_sessions!("$1", "$2", "$3", "$4", "$5", "$6", "$7", "");
    END_SESSION =
        "UPDATE sessions SET ended_at = $2, end_reason = $3 WHERE id = $1 AND ended_at IS NULL \
         RETURNING client_id, user_id, created_at, status_index";
    /// For clients that want to be told, and were there when the session began.
    ENQUEUE_LOGOUT_DELIVERY =
        "INSERT INTO logout_deliveries (session_id, client_id, user_id, tries, due_at, created_at) \
         SELECT $1, c.id, $3, 0, $4, $4 FROM clients c \
         WHERE c.id = $2 AND c.receives_logouts = 1 AND c.deleted_at IS NULL \
         AND c.created_at <= $5 \
         ON CONFLICT (session_id) DO NOTHING";
    /// All sessions of a person but one, and but those of one login; the id of none is empty. In the
    /// order in which every transition takes rows of sessions.
    LIST_SESSIONS_TO_END =
        "SELECT id FROM sessions WHERE user_id = $1 AND id <> $2 \
         AND (login_id IS NULL OR login_id <> $3) AND ended_at IS NULL ORDER BY id";
    LIST_SESSIONS_OF_LOGIN =
        "SELECT id, scope FROM sessions WHERE user_id = $1 AND login_id = $2 \
         AND ended_at IS NULL ORDER BY id";
    LIST_SESSIONS_OF_CLIENT =
        "SELECT id FROM sessions WHERE user_id = $1 AND client_id = $2 \
         AND ended_at IS NULL ORDER BY id";
    RENAME_SESSION =
        "UPDATE sessions SET device = $3 WHERE id = $1 AND user_id = $2 AND ended_at IS NULL";
    RECORD_SESSION_USE =
        "UPDATE sessions SET \
         last_seen_at = CASE WHEN last_seen_at > $2 THEN last_seen_at ELSE $2 END, \
         idle_expires_at = CASE WHEN $3 > idle_expires_at THEN $3 ELSE idle_expires_at END \
         WHERE id = $1 AND ended_at IS NULL";
    /// The last of the next sessions in the order of ids.
    END_OF_SESSION_PAGE =
        "SELECT id FROM (SELECT id FROM sessions WHERE id > $1 ORDER BY id LIMIT $2) page \
         ORDER BY id DESC LIMIT 1";
    DELETE_OVER_SESSIONS =
        "DELETE FROM sessions WHERE id > $1 AND id <= $2 \
         AND (ended_at < $3 OR idle_expires_at < $3 OR expires_at < $3)";

    INSERT_LOGIN =
        "INSERT INTO logins (id, user_id, secret, auth_time, amr, device, address, created_at, \
         last_seen_at, idle_expires_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    /// The same person signs in again; the cookie from before is worth nothing afterwards.
    RENEW_LOGIN =
        "UPDATE logins SET secret = $3, auth_time = $4, amr = $5, device = $6, address = $7, \
         created_at = $8, last_seen_at = $9, idle_expires_at = $10, expires_at = $11 \
         WHERE id = $1 AND user_id = $2 AND ended_at IS NULL";
    /// A copy of the cookie is worth nothing afterwards.
    RENEW_SECRET =
        "UPDATE logins SET secret = $3 WHERE id = $1 AND user_id = $2 AND ended_at IS NULL";
    FIND_LOGIN = concat!(
        "SELECT id AS login_id, user_id, secret, auth_time, amr, device, address, \
         created_at AS login_created_at, last_seen_at, idle_expires_at, expires_at, ended_at \
         FROM logins WHERE id = $1",
        login_not_cut_off!()
    );
    LIST_LOGINS = concat!(
        "SELECT id AS login_id, user_id, secret, auth_time, amr, device, address, \
         created_at AS login_created_at, last_seen_at, idle_expires_at, expires_at, ended_at \
         FROM logins WHERE user_id = $1 AND ended_at IS NULL AND idle_expires_at > $2 \
         AND expires_at > $2",
        login_not_cut_off!(),
        " ORDER BY id DESC LIMIT $3"
    );
    /// No row when the login is over.
    USE_LOGIN = concat!(
        "UPDATE logins SET last_seen_at = $3, idle_expires_at = $4 WHERE id = $1 AND user_id = $2 \
         AND ended_at IS NULL AND idle_expires_at > $3 AND expires_at > $3",
        login_not_cut_off!()
    );
    NOTE_LOGIN_USE =
        "UPDATE logins SET last_seen_at = $2, idle_expires_at = $3 WHERE id = $1 \
         AND ended_at IS NULL AND idle_expires_at > $2 AND last_seen_at < $2";
    END_LOGIN =
        "UPDATE logins SET ended_at = $3 WHERE id = $1 AND user_id = $2 AND ended_at IS NULL";
    /// All logins of a person but one; the id of none is empty.
    END_LOGINS_OF_USER =
        "UPDATE logins SET ended_at = $3 WHERE user_id = $1 AND id <> $2 AND ended_at IS NULL";
    DELETE_UNUSED_CODES_OF_LOGIN =
        "DELETE FROM authorization_codes WHERE user_id = $1 AND login_id = $2 \
         AND redeemed_for IS NULL";
    DELETE_UNUSED_CODES_FOR_CLIENT =
        "DELETE FROM authorization_codes WHERE user_id = $1 AND client_id = $2 \
         AND redeemed_for IS NULL";
    DELETE_OVER_LOGINS =
        "DELETE FROM logins WHERE id IN \
         (SELECT id FROM logins WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";
    /// Takes the lock of an account's row; changes nothing.
    LOCK_USER = "UPDATE users SET disabled_at = disabled_at WHERE id = $1";
    CHANGE_PROFILE = "UPDATE users SET profile = $2 WHERE id = $1 AND disabled_at IS NULL";

    REMEMBER_CONSENT =
        "INSERT INTO consents (user_id, client_id, scope, audience, granted_at) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (user_id, client_id) DO UPDATE \
         SET scope = excluded.scope, audience = excluded.audience, \
         granted_at = excluded.granted_at";
    FIND_CONSENT =
        "SELECT user_id, client_id, scope, audience, granted_at FROM consents \
         WHERE user_id = $1 AND client_id = $2";
    LIST_CONSENTS =
        "SELECT user_id, client_id, scope, audience, granted_at FROM consents \
         WHERE user_id = $1 ORDER BY client_id";
    WITHDRAW_CONSENT = "DELETE FROM consents WHERE user_id = $1 AND client_id = $2";
    DELETE_CONSENTS_OF_USER = "DELETE FROM consents WHERE user_id = $1";
    DELETE_OLD_CONSENTS =
        "DELETE FROM consents WHERE granted_at < $1 AND user_id IN \
         (SELECT user_id FROM consents WHERE granted_at < $1 ORDER BY granted_at LIMIT $2)";

    INSERT_PUSHED_REQUEST =
        "INSERT INTO pushed_requests (digest, client_id, request, expires_at) \
         VALUES ($1, $2, $3, $4)";
    /// The one answer to a pushed request that has no row of its own.
    KEEP_IN_MIND_AS_ANSWERED =
        "INSERT INTO pushed_requests (digest, client_id, request, expires_at) \
         VALUES ($1, $2, '', $3) ON CONFLICT (digest) DO NOTHING";
    FIND_PUSHED_REQUEST =
        "SELECT digest, client_id, request, expires_at FROM pushed_requests WHERE digest = $1";
    /// The one answer to a pushed request.
    DELETE_PUSHED_REQUEST = "DELETE FROM pushed_requests WHERE digest = $1";
    DELETE_OLD_PUSHED_REQUESTS =
        "DELETE FROM pushed_requests WHERE digest IN \
         (SELECT digest FROM pushed_requests WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";

    FIND_DUE_LOGOUT_DELIVERY =
        "SELECT session_id FROM logout_deliveries WHERE due_at <= $1 ORDER BY due_at LIMIT 1";
    /// Nobody else takes them until then.
    CLAIM_LOGOUT_DELIVERIES =
        "UPDATE logout_deliveries SET tries = tries + 1, due_at = $2 WHERE due_at <= $1 \
         AND session_id IN (SELECT session_id FROM (SELECT session_id, due_at, ROW_NUMBER() \
         OVER (PARTITION BY client_id ORDER BY due_at) AS place FROM logout_deliveries \
         WHERE due_at <= $1) waiting WHERE place <= $4 ORDER BY due_at LIMIT $3) RETURNING session_id, client_id, user_id, tries, created_at";
    POSTPONE_LOGOUT_DELIVERY = "UPDATE logout_deliveries SET due_at = $2 WHERE session_id = $1";
    FINISH_LOGOUT_DELIVERY = "DELETE FROM logout_deliveries WHERE session_id = $1";

    /// Once for each thing that is taken back.
    REVOKE_STATUS =
        "INSERT INTO revocations (id, at, status_index) VALUES ($1, $2, $3) \
         ON CONFLICT (id) DO NOTHING";
    REVOKE_BEFORE =
        "INSERT INTO revocations (id, at, scope, subject, not_before) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING";
    ANNOUNCE_LIST =
        "INSERT INTO revocations (id, at, list) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING";
    /// A cut-off never moves back.
    CUT_OFF =
        "INSERT INTO cut_offs (scope, subject, cut_at) VALUES ($1, $2, $3) \
         ON CONFLICT (scope, subject) DO UPDATE SET cut_at = excluded.cut_at \
         WHERE cut_offs.cut_at < excluded.cut_at";
    REVOKE_CUT_OFF_SESSIONS =
        "INSERT INTO revocations (id, at, status_index) \
         SELECT id, CAST($2 AS BIGINT), status_index FROM sessions \
         WHERE auth_time < $1 AND ended_at IS NULL AND expires_at > $2 AND idle_expires_at > $2 \
         ON CONFLICT (id) DO NOTHING";
    REVOKE_CUT_OFF_SESSIONS_OF_CLIENT =
        "INSERT INTO revocations (id, at, status_index) \
         SELECT id, CAST($2 AS BIGINT), status_index FROM sessions \
         WHERE client_id = $3 AND created_at < $1 AND ended_at IS NULL AND expires_at > $2 \
         AND idle_expires_at > $2 ON CONFLICT (id) DO NOTHING";
    LIST_CLIENTS_WITH_LOGOUTS =
        "SELECT id, created_at FROM clients WHERE receives_logouts = 1 AND deleted_at IS NULL";
    ENQUEUE_LOGOUTS_OF_CUT_OFF =
        "INSERT INTO logout_deliveries (session_id, client_id, user_id, tries, due_at, created_at) \
         SELECT id, client_id, user_id, 0, CAST($2 AS BIGINT), CAST($2 AS BIGINT) FROM sessions \
         WHERE client_id = $3 AND created_at >= $4 AND ended_at IS NULL AND expires_at > $2 \
         AND idle_expires_at > $2 AND ((auth_time < $1 AND CAST($5 AS BIGINT) = 1) \
         OR (created_at < $1 AND CAST($5 AS BIGINT) = 0)) \
         ON CONFLICT (session_id) DO NOTHING";

    NOTE_REPLICA =
        "INSERT INTO replicas (id, build, host, started_at, seen_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at";
    FORGET_REPLICA = "DELETE FROM replicas WHERE id = $1";
    LIST_REPLICAS =
        "SELECT id, build, host, started_at, seen_at FROM replicas WHERE seen_at >= $1 \
         ORDER BY started_at, id";
    DELETE_GONE_REPLICAS =
        "DELETE FROM replicas WHERE id IN \
         (SELECT id FROM replicas WHERE seen_at < $1 ORDER BY seen_at LIMIT $2)";

    LEASE_STATUS_NUMBERS =
        "UPDATE status_numbers SET next_number = next_number + $1 WHERE singleton = 1 \
         RETURNING next_number, announced";
    NOTE_ANNOUNCED_LISTS = "UPDATE status_numbers SET announced = $1 WHERE singleton = 1";

    READ_LOG_STATE =
        "SELECT l.epoch, l.seq, l.chain, n.announced, CAST(CASE WHEN EXISTS \
         (SELECT 1 FROM revocations r WHERE r.seq IS NULL) THEN 1 ELSE 0 END AS BIGINT) \
         AS has_unnumbered FROM revocation_log l CROSS JOIN status_numbers n \
         WHERE l.singleton = 1 AND n.singleton = 1";
    /// No row when no replica is there.
    JOIN_LOG =
        "UPDATE revocation_log SET alive_until = $2 WHERE singleton = 1 AND alive_until >= $1";
    KEEP_LOG_ALIVE =
        "UPDATE revocation_log SET alive_until = $1 WHERE singleton = 1 AND alive_until < $1";
    /// Takes the lock of the log if no replica is there; changes nothing.
    LOCK_LEFT_LOG =
        "UPDATE revocation_log SET seq = seq WHERE singleton = 1 AND alive_until < $1";
    /// No row when somebody has begun one since.
    BEGIN_EPOCH =
        "UPDATE revocation_log SET epoch = $2, seq = 0, chain = $3, alive_until = $4 \
         WHERE singleton = 1 AND epoch = $1";
    /// Takes the lock of the log if it still ends there; changes nothing. The epoch is the fencing
    /// token: who missed the beginning of a new one numbers nothing.
    LOCK_LOG =
        "UPDATE revocation_log SET seq = seq \
         WHERE singleton = 1 AND epoch = $1 AND seq = $2 AND chain = $3";
    NUMBER_REVOCATIONS =
        "UPDATE revocations SET epoch = $1, seq = $2 WHERE id IN \
         (SELECT id FROM revocations WHERE seq IS NULL ORDER BY at, id LIMIT $3) \
         RETURNING at, seq, status_index, list, not_before, scope, subject";
    EXTEND_LOG = "UPDATE revocation_log SET seq = $1, chain = $2 WHERE singleton = 1";
    LIST_REVOCATIONS_SINCE =
        "SELECT at, seq, status_index, list, not_before, scope, subject FROM revocations \
         WHERE epoch = $1 AND seq > $2 ORDER BY seq LIMIT $3";
    LIST_NUMBERED_REVOCATIONS =
        "SELECT id, at, seq, status_index, list, not_before, scope, subject FROM revocations \
         WHERE id > $1 AND seq IS NOT NULL ORDER BY id LIMIT $2";
    /// Those of keys count for longer.
    DELETE_OLD_REVOCATIONS =
        "DELETE FROM revocations WHERE id IN \
         (SELECT id FROM revocations WHERE at < $1 AND seq IS NOT NULL \
         AND (scope IS NULL OR scope <> 'key') ORDER BY at LIMIT $2)";
    DELETE_OLD_KEY_REVOCATIONS =
        "DELETE FROM revocations WHERE at < $1 AND seq IS NOT NULL AND scope = 'key'";

    INSERT_AUDIT_RECORD =
        "INSERT INTO audit_records (id, at, kind, actor, address, user_id, client_id, \
         session_id, detail, mac) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    LIST_AUDIT_RECORDS =
        "SELECT id, at, kind, actor, address, user_id, client_id, session_id, detail, mac, sequence, \
         hash FROM audit_records WHERE id < $1 \
         AND (CAST($2 AS TEXT) IS NULL OR kind = $2) AND (CAST($3 AS TEXT) IS NULL OR client_id = $3) \
         AND (CAST($5 AS BYTEA) IS NULL OR session_id = $5) \
         ORDER BY id DESC LIMIT $4";
    LIST_AUDIT_RECORDS_OF_USER =
        "SELECT id, at, kind, actor, address, user_id, client_id, session_id, detail, mac, sequence, \
         hash FROM audit_records WHERE id < $1 AND user_id = $6 \
         AND (CAST($2 AS TEXT) IS NULL OR kind = $2) AND (CAST($3 AS TEXT) IS NULL OR client_id = $3) \
         AND (CAST($5 AS BYTEA) IS NULL OR session_id = $5) \
         ORDER BY id DESC LIMIT $4";
    LIST_SEALED_RECORDS =
        "SELECT id, at, kind, actor, address, user_id, client_id, session_id, detail, mac, sequence, \
         hash FROM audit_records WHERE sequence > $1 ORDER BY sequence LIMIT $2";
    LIST_UNSEALED_RECORDS =
        "SELECT id, at, kind, actor, address, user_id, client_id, session_id, detail, mac, sequence, \
         hash FROM audit_records WHERE sequence IS NULL ORDER BY id LIMIT $1";
    FIND_END_OF_CHAIN = "SELECT sequence, hash FROM audit_chain WHERE singleton = 1";
    /// The compare-and-swap of sealing: no row when another replica was first.
    EXTEND_CHAIN =
        "UPDATE audit_chain SET sequence = $2, hash = $3 \
         WHERE singleton = 1 AND sequence = $1";
    SEAL_RECORD =
        "UPDATE audit_records SET sequence = $2, hash = $3 WHERE id = $1 AND sequence IS NULL";
}

/// Sessions with any of several ids.
pub(super) const FIND_SESSIONS: &str = find_sessions!("IN ({ids})");

// --- What only one of the databases needs ------------------------------------------------------

/// Takes the write lock at once, so that a transaction never has to be given up half way.
pub(super) const SQLITE_BEGIN: &str = "BEGIN IMMEDIATE";
pub(super) const SQLITE_SAVEPOINT: &str = "SAVEPOINT transition";
pub(super) const SQLITE_ROLLBACK_TO_SAVEPOINT: &str = "ROLLBACK TO transition";
pub(super) const SQLITE_RELEASE_SAVEPOINT: &str = "RELEASE transition";
pub(super) const SQLITE_COMMIT: &str = "COMMIT";
pub(super) const SQLITE_ROLLBACK: &str = "ROLLBACK";
pub(super) const SQLITE_CHECKPOINT: &str = "PRAGMA wal_checkpoint(PASSIVE)";

/// Rotations of as many different sessions as there are rows of values; a row without an id is none. The
/// statement of [`ROTATE_SESSION`], with which it stands or falls.
pub(super) const SQLITE_ROTATE_SESSIONS: &str = rotate_sessions!(
    "v.column1",
    "v.column2",
    "v.column3",
    "v.column4",
    "v.column5",
    "v.column6",
    "v.column7",
    " FROM (VALUES {rows}) AS v"
);
pub(super) const SQLITE_RETURNING_ID: &str = " RETURNING sessions.id";

pub(super) const POSTGRES_TIME: &str =
    "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";
/// What the client has given up, the server gives up as well: a statement, and a transaction that nobody
/// goes on with, whose locks would keep others waiting.
pub(super) const POSTGRES_GIVE_UP_AFTER: &str = "SELECT set_config('statement_timeout', $1, false), \
     set_config('idle_in_transaction_session_timeout', $1, false)";
/// For the rest of the transaction the client decides alone.
pub(super) const POSTGRES_TAKE_TIME: &str = "SET LOCAL statement_timeout = 0";
pub(super) const POSTGRES_NOTIFY: &str = "SELECT pg_notify('tokensmith_revocations', '')";
