//! Rows about browsers.

use super::people::{address, audience, authentication, device, id, number};
use super::{array, instant, optional_instant, parsed};
use crate::domain::browser_login::BrowserLogin;
use crate::domain::consent::Consent;
use crate::domain::id::{LoginId, SessionId, UserId};
use crate::domain::ports::{LogoutDelivery, PushedRequest, RequestDigest};
use crate::domain::session::SessionSecret;
use crate::store::connection::Columns;
use crate::store::error::StatementError;

type Read<T> = Result<T, StatementError>;

pub(in crate::store) fn login(row: &impl Columns) -> Read<BrowserLogin> {
    Ok(BrowserLogin {
        id: LoginId(id(row, "login_id")?),
        user_id: UserId(id(row, "user_id")?),
        secret: SessionSecret(id(row, "secret")?),
        authentication: authentication(row)?,
        device: device(row)?,
        address: address(row)?,
        created_at: instant(row, "login_created_at")?,
        last_seen_at: instant(row, "last_seen_at")?,
        idle_expires_at: instant(row, "idle_expires_at")?,
        expires_at: instant(row, "expires_at")?,
        ended_at: optional_instant(row, "ended_at")?,
    })
}

pub(in crate::store) fn consent(row: &impl Columns) -> Read<Consent> {
    Ok(Consent {
        user_id: UserId(id(row, "user_id")?),
        client_id: parsed(row, "client_id")?,
        scope: parsed(row, "scope")?,
        audience: audience(row)?,
        granted_at: instant(row, "granted_at")?,
    })
}

pub(in crate::store) fn pushed_request(row: &impl Columns) -> Read<PushedRequest> {
    Ok(PushedRequest {
        digest: RequestDigest(array(row.bytes("digest")?, "digest")?),
        client_id: parsed(row, "client_id")?,
        request: row.text("request")?,
        expires_at: instant(row, "expires_at")?,
    })
}

pub(in crate::store) fn logout_delivery(row: &impl Columns) -> Read<LogoutDelivery> {
    Ok(LogoutDelivery {
        session: SessionId(id(row, "session_id")?),
        client_id: parsed(row, "client_id")?,
        user_id: UserId(id(row, "user_id")?),
        tries: number(row, "tries")?,
        created_at: instant(row, "created_at")?,
    })
}
