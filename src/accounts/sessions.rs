//! Looking after sessions.

use super::{AccountError, Accounts};
use crate::domain::Timestamp;
use crate::domain::audit::{AuditKind, Origin};
use crate::domain::device::DeviceLabel;
use crate::domain::id::{SessionId, UserId};
use crate::domain::session::{EndReason, Session, SessionEnd, Staying};

/// All sessions and logins of a person, or all but those of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionsOf {
    /// Whose.
    pub user: UserId,
    /// Where the person stays signed in.
    pub except: Option<Staying>,
}

impl Accounts {
    /// The live sessions of a person, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn sessions(
        &self,
        user: UserId,
        now: Timestamp,
    ) -> Result<Vec<Session>, AccountError> {
        Ok(self.store.list_sessions(user, now).await?)
    }

    /// A live session, whosever it is.
    ///
    /// # Errors
    /// When there is no such live session.
    pub async fn session(&self, id: SessionId, now: Timestamp) -> Result<Session, AccountError> {
        let session = self.any_session(id).await?;
        if session.is_live(now) {
            Ok(session)
        } else {
            Err(AccountError::NoSuchSession(id))
        }
    }

    /// A session, whosever it is, live or over.
    ///
    /// # Errors
    /// When there is no such session, or none any more.
    pub async fn any_session(&self, id: SessionId) -> Result<Session, AccountError> {
        let found = self.store.find_session(id).await?;
        found
            .map(|stored| stored.session)
            .ok_or(AccountError::NoSuchSession(id))
    }

    /// A live session of this person: those of others do not exist for them.
    ///
    /// # Errors
    /// When the person has no such live session.
    pub async fn own_session(
        &self,
        user: UserId,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Session, AccountError> {
        let session = self.session(id, now).await?;
        if session.terms.user_id == user {
            Ok(session)
        } else {
            Err(AccountError::NoSuchSession(id))
        }
    }

    /// Names the device of a session.
    ///
    /// # Errors
    /// When the person has no such live session.
    pub async fn rename_session(
        &self,
        user: UserId,
        id: SessionId,
        device: &DeviceLabel,
        now: Timestamp,
    ) -> Result<Session, AccountError> {
        let session = self.own_session(user, id, now).await?;
        if self.store.rename_session(user, id, device).await? {
            Ok(Session {
                device: Some(device.clone()),
                ..session
            })
        } else {
            Err(AccountError::NoSuchSession(id))
        }
    }

    /// Ends a session. Answers whether this is what ended it.
    ///
    /// # Errors
    /// When the database does not do it.
    pub async fn end_session(
        &self,
        session: &Session,
        reason: EndReason,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, AccountError> {
        let terms = &session.terms;
        let record = self
            .trail
            .record(AuditKind::SessionEnded, origin, now)?
            .about_user(terms.user_id)
            .about_client(&terms.client_id)
            .about_session(terms.id)
            .with_detail(reason.as_str());
        let end = SessionEnd { at: now, reason };
        Ok(self.store.end_session(terms.id, end, &record).await?)
    }

    /// Ends sessions of a person; answers how many.
    ///
    /// # Errors
    /// When the database does not do it.
    pub async fn end_sessions_of(
        &self,
        SessionsOf { user, except }: SessionsOf,
        reason: EndReason,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<u64, AccountError> {
        let all = if except.is_some() {
            "all others"
        } else {
            "all"
        };
        let record = self
            .trail
            .record(AuditKind::SessionEnded, origin, now)?
            .about_user(user)
            .with_detail(format!("{}: {all}", reason.as_str()));
        let end = SessionEnd { at: now, reason };
        Ok(self
            .store
            .end_sessions_of(user, except.as_ref(), end, &record)
            .await?)
    }
}
