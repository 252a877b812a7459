//! The statements that do not touch one row by its primary key.

/// When a statement runs that does not touch one row by its key, and with that what it costs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Runs {
    /// By every replica, however much is asked: a batch that is bounded, of a table that is small or has
    /// an index for it.
    AsUpkeep,
    /// When somebody looks at or changes the own account, or signs in: through an index by person.
    ForOnePerson,
    /// When an administrator says so.
    OnCommand,
}
use self::Runs::{AsUpkeep, ForOnePerson, OnCommand};

/// All that do not touch one row by its primary key. A new one has to be put here, or be changed.
pub(super) const NOT_BY_KEY: &[(&str, Runs, &str)] = &[
    ("READ_VERSIONS", AsUpkeep, "the table has two rows"),
    (
        "FIND_CLIENT",
        OnCommand,
        "a client with its secrets; requests find clients in memory",
    ),
    ("LIST_CLIENTS", OnCommand, "a page"),
    (
        "LIST_CHANGED_CLIENTS",
        AsUpkeep,
        "what is newer than what a replica has, by index",
    ),
    (
        "DELETE_EXPIRED_SECRETS",
        OnCommand,
        "the secrets of one client, by index",
    ),
    (
        "END_OLDER_SECRETS",
        OnCommand,
        "the secrets of one client, by index",
    ),
    (
        "INSERT_FURTHER_SECRET",
        OnCommand,
        "counts the secrets of one client",
    ),
    (
        "SCHEDULE_END_OF_OTHER_SECRETS",
        OnCommand,
        "the secrets of one client, by index",
    ),
    (
        "LIST_SECRETS_ENDED_AT",
        OnCommand,
        "the secrets of one client, by index",
    ),
    (
        "LIST_SECRETS",
        OnCommand,
        "the secrets of one client, by index",
    ),
    (
        "DELETE_SECRETS",
        OnCommand,
        "the secrets of one client, by index",
    ),
    (
        "LIST_SIGNING_KEYS",
        AsUpkeep,
        "a handful of keys, read when one has changed",
    ),
    (
        "FIND_USERS_BY_IDENTIFIERS",
        OnCommand,
        "twenty keys of an import at a time",
    ),
    ("LIST_USERS", OnCommand, "a page"),
    ("DELETE_OLD_ATTEMPTS", AsUpkeep, "a batch, by index"),
    (
        "DELETE_UNUSED_CODES_OF_USER",
        ForOnePerson,
        "codes live a minute; by index",
    ),
    ("DELETE_OLD_CODES", AsUpkeep, "a batch, by index"),
    (
        "LIST_SESSIONS",
        ForOnePerson,
        "the page of the own devices; by the index of every partition",
    ),
    (
        "COUNT_LIVE_SESSIONS",
        OnCommand,
        "reads all sessions: what the renewal of the master key will end",
    ),
    (
        "LIST_SESSIONS_TO_END",
        ForOnePerson,
        "a new password, a deletion; by the index of every partition",
    ),
    (
        "LIST_SESSIONS_OF_LOGIN",
        ForOnePerson,
        "a logout in a browser; by the index of every partition",
    ),
    (
        "LIST_SESSIONS_OF_CLIENT",
        ForOnePerson,
        "a consent is withdrawn; by the index of every partition",
    ),
    (
        "END_OF_SESSION_PAGE",
        AsUpkeep,
        "the sweep goes on in the order of ids, so it asks every partition",
    ),
    (
        "DELETE_OVER_SESSIONS",
        AsUpkeep,
        "the page of the sweep, in every partition",
    ),
    ("LIST_LOGINS", ForOnePerson, "by index"),
    ("END_LOGINS_OF_USER", ForOnePerson, "by index"),
    (
        "DELETE_UNUSED_CODES_OF_LOGIN",
        ForOnePerson,
        "codes live a minute; by index",
    ),
    (
        "DELETE_UNUSED_CODES_FOR_CLIENT",
        ForOnePerson,
        "codes live a minute; by index",
    ),
    ("DELETE_OVER_LOGINS", AsUpkeep, "a batch, by index"),
    (
        "LIST_CONSENTS",
        ForOnePerson,
        "the first half of the primary key",
    ),
    (
        "DELETE_CONSENTS_OF_USER",
        ForOnePerson,
        "the first half of the primary key",
    ),
    ("DELETE_OLD_CONSENTS", AsUpkeep, "a batch, by index"),
    ("DELETE_OLD_PUSHED_REQUESTS", AsUpkeep, "a batch, by index"),
    (
        "FIND_DUE_LOGOUT_DELIVERY",
        AsUpkeep,
        "the outbox, which is empty where all receivers answer; by index",
    ),
    (
        "CLAIM_LOGOUT_DELIVERIES",
        AsUpkeep,
        "a batch of the outbox, by index",
    ),
    (
        "REVOKE_CUT_OFF_SESSIONS",
        OnCommand,
        "reads all sessions, within five minutes",
    ),
    (
        "REVOKE_CUT_OFF_SESSIONS_OF_CLIENT",
        OnCommand,
        "reads all sessions, within five minutes",
    ),
    (
        "LIST_CLIENTS_WITH_LOGOUTS",
        OnCommand,
        "reads all clients at a cut-off",
    ),
    (
        "ENQUEUE_LOGOUTS_OF_CUT_OFF",
        OnCommand,
        "reads all sessions, within five minutes",
    ),
    ("LIST_REPLICAS", OnCommand, "a handful of replicas"),
    ("DELETE_GONE_REPLICAS", AsUpkeep, "a handful of replicas"),
    (
        "NUMBER_REVOCATIONS",
        AsUpkeep,
        "what has no number yet, by index; logouts that come together share it",
    ),
    (
        "LIST_REVOCATIONS_SINCE",
        AsUpkeep,
        "what is newer than what a replica has, by index",
    ),
    (
        "LIST_NUMBERED_REVOCATIONS",
        AsUpkeep,
        "the last hour at a start, in pages by key",
    ),
    ("DELETE_OLD_REVOCATIONS", AsUpkeep, "a batch, by index"),
    (
        "DELETE_OLD_KEY_REVOCATIONS",
        AsUpkeep,
        "a handful of keys, by index",
    ),
    (
        "LIST_AUDIT_RECORDS",
        OnCommand,
        "a page in the order of the key; what is filtered is read",
    ),
    (
        "LIST_AUDIT_RECORDS_OF_USER",
        ForOnePerson,
        "a page, by index",
    ),
    (
        "LIST_SEALED_RECORDS",
        OnCommand,
        "pages of the proof, by index",
    ),
    (
        "LIST_UNSEALED_RECORDS",
        AsUpkeep,
        "a batch of what is new, by index",
    ),
];
