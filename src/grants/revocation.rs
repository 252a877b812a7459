//! Token revocation (RFC 7009).

use super::{GrantError, PresentedToken, RequestContext, TokenService};
use crate::domain::Timestamp;
use crate::domain::audit::{Actor, AuditKind, Origin};
use crate::domain::client::Client;
use crate::domain::error::{OAuthError, OAuthErrorCode};
use crate::domain::session::{EndReason, Session};

impl TokenService {
    /// Ends the session of a token. Both kinds of token of a session stand for the whole of it
    /// (RFC 7009 §2.1).
    ///
    /// # Errors
    /// `unsupported_token_type` for the token of a service, `unauthorized_client` for a token of
    /// another client.
    pub async fn revoke(
        &self,
        client: &Client,
        token: &str,
        context: &RequestContext,
        now: Timestamp,
    ) -> Result<(), GrantError> {
        let origin = Origin {
            actor: Actor::Client(client.id.clone()),
            address: context.address,
        };
        if let Some((session, _)) = self.session_of_refresh_token(token).await? {
            return self.end_revoked(client, &session, &origin, now).await;
        }
        if let Some(session) = self.session_of_cut_off_token(token, now).await? {
            return self.end_revoked(client, &session, &origin, now).await;
        }
        match self.find_token(token, now).await? {
            None => {
                let record = self
                    .accounts
                    .trail
                    .record(AuditKind::RevocationRefused, &origin, now)?
                    .about_client(&client.id)
                    .with_detail("unknown token");
                self.accounts.trail.refuse(record).await?;
                Ok(())
            }
            Some(PresentedToken::Service { client: owner, .. }) if owner.id == client.id => {
                let description = "the tokens of a service are not revoked one by one; an \
                                   administrator cuts off all of them, with POST \
                                   /api/admin/revocations or with tokensmith session cut-off --client";
                Err(OAuthError::new(OAuthErrorCode::UnsupportedTokenType, description).into())
            }
            Some(PresentedToken::Service { .. }) => self.refuse_other(client, &origin, now).await,
            Some(
                PresentedToken::Person { session, .. }
                | PresentedToken::Reference { session, .. }
                | PresentedToken::Refresh { session },
            ) => self.end_revoked(client, &session, &origin, now).await,
        }
    }

    async fn end_revoked(
        &self,
        client: &Client,
        session: &Session,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), GrantError> {
        if session.terms.client_id != client.id {
            return self.refuse_other(client, origin, now).await;
        }
        let reason = EndReason::Revoked;
        // A session that has ended before stays as it ended (RFC 7009 §2.2).
        self.accounts
            .end_session(session, reason, origin, now)
            .await?;
        Ok(())
    }

    /// RFC 7009 §2.1: a token that was issued to another client is refused, and the client is told.
    async fn refuse_other(
        &self,
        client: &Client,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), GrantError> {
        let record = self
            .accounts
            .trail
            .record(AuditKind::RevocationRefused, origin, now)?
            .about_client(&client.id)
            .with_detail("issued to another client");
        self.accounts.trail.refuse(record).await?;
        let description = "the token was not issued to this client";
        Err(OAuthError::new(OAuthErrorCode::UnauthorizedClient, description).into())
    }
}
