//! Rows about people, their sessions, and the audit log.

use std::net::IpAddr;

use tokensmith_verify::{Audience, ScopeSet};

use super::{array, instant, json, optional_instant, parsed, status_index};
use crate::domain::Timestamp;
use crate::domain::audit::{AuditRecord, ChainHash, Origin, RecordMac, Seal, StoredRecord};
use crate::domain::claims::RequestedClaims;
use crate::domain::device::DeviceLabel;
use crate::domain::id::{AuditId, ClientId, LoginId, SessionId, UserId};
use crate::domain::password::PasswordHash;
use crate::domain::ports::{Account, AuthorizationCode, CodeDigest, StoredCode, StoredSession};
use crate::domain::revocation::StatusIndex;
use crate::domain::rotation::{Chain, Generation, RetryKeyDigest};
use crate::domain::session::{
    Authentication, AuthenticationMethod, Session, SessionEnd, SessionSecret, SessionTerms,
};
use crate::domain::throttle::Attempts;
use crate::domain::user::User;
use crate::store::connection::Columns;
use crate::store::error::StatementError;

type Read<T> = Result<T, StatementError>;

pub(in crate::store) fn account(row: &impl Columns) -> Read<Account> {
    let password: Option<PasswordHash> = optional_parsed(row, "password_hash")?;
    let user = User {
        id: UserId(id(row, "id")?),
        username: parsed(row, "username")?,
        email: optional_parsed(row, "email")?,
        profile: json(row, "profile")?,
        has_password: password.is_some(),
        password_changed_at: optional_instant(row, "password_changed_at")?,
        created_at: instant(row, "created_at")?,
        last_login_at: optional_instant(row, "last_login_at")?,
        disabled_at: optional_instant(row, "disabled_at")?,
    };
    Ok(Account { user, password })
}

pub(in crate::store) fn attempts(row: &impl Columns) -> Read<Attempts> {
    Ok(Attempts {
        count: number(row, "attempts")?,
        last_at: instant(row, "last_at")?,
    })
}

pub(in crate::store) fn code(row: &impl Columns) -> Read<StoredCode> {
    let redeemed_for = row.optional_bytes("redeemed_for")?;
    Ok(StoredCode {
        code: AuthorizationCode {
            digest: CodeDigest(array(row.bytes("digest")?, "digest")?),
            client_id: parsed(row, "client_id")?,
            user_id: UserId(id(row, "user_id")?),
            scope: parsed(row, "scope")?,
            audience: audience(row)?,
            code_challenge: row.optional_text("code_challenge")?,
            redirect_uri: row.optional_text("redirect_uri")?,
            login_id: login_id(row)?,
            nonce: row.optional_text("nonce")?,
            userinfo_claims: claims(row, "userinfo_claims")?,
            id_token_claims: claims(row, "id_token_claims")?,
            authentication: authentication(row)?,
            device: device(row)?,
            address: address(row)?,
            expires_at: instant(row, "expires_at")?,
        },
        redeemed_for: redeemed_for
            .map(|id| array(id, "redeemed_for").map(SessionId))
            .transpose()?,
    })
}

pub(in crate::store) fn stored_session(row: &impl Columns) -> Read<StoredSession> {
    Ok(StoredSession {
        session: session(row)?,
        user_is_enabled: row.optional_bytes("enabled_user")?.is_some(),
    })
}

pub(in crate::store) fn session(row: &impl Columns) -> Read<Session> {
    let rotated_with = row.optional_bytes("rotated_with")?;
    Ok(Session {
        terms: SessionTerms {
            id: SessionId(id(row, "id")?),
            user_id: UserId(id(row, "user_id")?),
            client_id: parsed(row, "client_id")?,
            login_id: login_id(row)?,
            secret: SessionSecret(id(row, "secret")?),
            status: status_index(row)?,
            scope: parsed(row, "scope")?,
            audience: audience(row)?,
            claims: claims(row, "userinfo_claims")?,
            authentication: authentication(row)?,
            created_at: instant(row, "created_at")?,
            expires_at: instant(row, "expires_at")?,
        },
        chain: Chain {
            generation: Generation(number(row, "generation")?),
            rotated_at: instant(row, "rotated_at")?,
            rotated_with: rotated_with
                .map(|digest| array(digest, "rotated_with").map(RetryKeyDigest))
                .transpose()?,
            idle_expires_at: instant(row, "idle_expires_at")?,
        },
        last_seen_at: optional_instant(row, "last_seen_at")?,
        device: device(row)?,
        address: address(row)?,
        end: session_end(row)?,
    })
}

/// What is known of a session that has just been ended.
pub(in crate::store) struct Ended {
    pub(in crate::store) client: ClientId,
    pub(in crate::store) user: UserId,
    pub(in crate::store) began: Timestamp,
    pub(in crate::store) status: StatusIndex,
}

pub(in crate::store) fn ended(row: &impl Columns) -> Read<Ended> {
    Ok(Ended {
        client: parsed(row, "client_id")?,
        user: UserId(id(row, "user_id")?),
        began: instant(row, "created_at")?,
        status: status_index(row)?,
    })
}

fn session_end(row: &impl Columns) -> Read<Option<SessionEnd>> {
    let Some(at) = optional_instant(row, "ended_at")? else {
        return Ok(None);
    };
    let reason =
        optional_parsed(row, "end_reason")?.ok_or(StatementError::Unreadable("end_reason"))?;
    Ok(Some(SessionEnd { at, reason }))
}

pub(in crate::store) fn session_id(row: &impl Columns) -> Read<SessionId> {
    Ok(SessionId(id(row, "id")?))
}

pub(in crate::store) fn scope(row: &impl Columns) -> Read<ScopeSet> {
    parsed(row, "scope")
}

pub(in crate::store) fn session_ids(rows: &[impl Columns]) -> Read<Vec<SessionId>> {
    rows.iter().map(session_id).collect()
}

pub(in crate::store) fn audit_record(row: &impl Columns) -> Read<StoredRecord> {
    let optional_id = |column| -> Read<Option<[u8; 16]>> {
        row.optional_bytes(column)?
            .map(|bytes| array(bytes, column))
            .transpose()
    };
    let record = AuditRecord {
        id: AuditId(id(row, "id")?),
        at: instant(row, "at")?,
        kind: parsed(row, "kind")?,
        origin: Origin {
            actor: parsed(row, "actor")?,
            address: address(row)?,
        },
        user: optional_id("user_id")?.map(UserId),
        client: optional_parsed(row, "client_id")?,
        session: optional_id("session_id")?.map(SessionId),
        detail: row.optional_text("detail")?,
        mac: row
            .optional_bytes("mac")?
            .map(|mac| array(mac, "mac").map(RecordMac))
            .transpose()?,
    };
    let seal = match row.optional_integer("sequence")? {
        None => None,
        Some(_) => Some(seal(row)?),
    };
    Ok(StoredRecord { record, seal })
}

pub(in crate::store) fn seal(row: &impl Columns) -> Read<Seal> {
    Ok(Seal {
        sequence: row.integer("sequence")?,
        hash: ChainHash(array(row.bytes("hash")?, "hash")?),
    })
}

/// Audiences have no spaces, so they are stored as one text, as scopes are.
pub(in crate::store) fn audience_text(audience: &Audience) -> String {
    audience.iter().collect::<Vec<_>>().join(" ")
}

pub(super) fn audience(row: &impl Columns) -> Read<Audience> {
    let members: Vec<String> = row
        .text("audience")?
        .split(' ')
        .map(ToOwned::to_owned)
        .collect();
    Audience::try_from(members).map_err(|_| StatementError::Unreadable("audience"))
}

pub(in crate::store) fn methods_text(authentication: &Authentication) -> String {
    let names = authentication.methods.iter().map(|method| method.as_str());
    names.collect::<Vec<_>>().join(" ")
}

pub(super) fn authentication(row: &impl Columns) -> Read<Authentication> {
    let methods = row.text("amr")?;
    let methods = methods.split(' ').filter(|name| !name.is_empty());
    Ok(Authentication {
        at: instant(row, "auth_time")?,
        methods: methods
            .map(|name| match name {
                "pwd" => Ok(AuthenticationMethod::Password),
                _ => Err(StatementError::Unreadable("amr")),
            })
            .collect::<Result<_, _>>()?,
    })
}

fn login_id(row: &impl Columns) -> Read<Option<LoginId>> {
    let id = row.optional_bytes("login_id")?;
    id.map(|id| array(id, "login_id").map(LoginId)).transpose()
}

/// Most requests ask for no single claims, and then there is no text.
pub(in crate::store) fn claims_text(claims: &RequestedClaims) -> Option<String> {
    (!claims.is_empty()).then(|| claims.to_string())
}

fn claims(row: &impl Columns, column: &'static str) -> Read<RequestedClaims> {
    Ok(optional_parsed(row, column)?.unwrap_or_default())
}

pub(super) fn device(row: &impl Columns) -> Read<Option<DeviceLabel>> {
    let text = row.optional_text("device")?;
    // A label is for people; one that does not fit is no reason to lose a session.
    Ok(text.and_then(|text| DeviceLabel::parse(&text).ok()))
}

pub(super) fn address(row: &impl Columns) -> Read<Option<IpAddr>> {
    optional_parsed(row, "address")
}

fn optional_parsed<T: std::str::FromStr>(
    row: &impl Columns,
    column: &'static str,
) -> Read<Option<T>> {
    row.optional_text(column)?
        .map(|text| text.parse().map_err(|_| StatementError::Unreadable(column)))
        .transpose()
}

pub(super) fn number(row: &impl Columns, column: &'static str) -> Read<u32> {
    u32::try_from(row.integer(column)?).map_err(|_| StatementError::Unreadable(column))
}

pub(super) fn id(row: &impl Columns, column: &'static str) -> Read<[u8; 16]> {
    array(row.bytes(column)?, column)
}
