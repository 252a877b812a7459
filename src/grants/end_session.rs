//! Signing out at the client's wish (`OpenID` Connect RP-Initiated Logout 1.0).

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use super::TokenService;
use super::authorization::query_separator;
use crate::accounts::AccountError;
use crate::accounts::browser::SignedIn;
use crate::domain::Timestamp;
use crate::domain::audit::Origin;
use crate::domain::client::Client;
use crate::domain::error::OAuthError;
use crate::domain::id::{ClientId, SessionId};
use crate::domain::ports::StoreError;
use crate::domain::session::{EndReason, Session};

/// How long the way back may be, with the state, in which a byte may take three. It is sealed into an
/// address of ours, which has to come through proxies like that of a login.
const MOST_RETURN_BYTES: usize = 4 * 1024;

/// The parameters (§2).
#[derive(Clone, Debug, Default)]
pub struct EndSessionRequest<'a> {
    /// An ID token that the client got here, of whatever age.
    pub id_token_hint: Option<&'a str>,
    /// The client, where there is no hint.
    pub client_id: Option<&'a str>,
    /// Where the person goes afterwards.
    pub post_logout_redirect_uri: Option<&'a str>,
    /// Repeated on that way.
    pub state: Option<&'a str>,
}

/// A wish that is in order. This is also the form in which it travels, sealed, through the page that
/// asks the person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndSession {
    /// Whose wish it is.
    pub client_id: Option<ClientId>,
    /// Where the person goes afterwards, with the state.
    pub return_to: Option<String>,
    /// The session that the hint speaks of.
    hinted: Option<SessionId>,
}

impl TokenService {
    /// Reads a wish to be signed out.
    ///
    /// # Errors
    /// `invalid_request`, to be shown: nobody is sent anywhere that is not registered (§3).
    pub fn end_session_request(
        &self,
        request: &EndSessionRequest<'_>,
    ) -> Result<EndSession, OAuthError> {
        let invalid = |description| Err(OAuthError::invalid_request(description));
        let hint = match request.id_token_hint {
            None => None,
            Some(text) => match self.hints.read_id_token_hint(text) {
                Some(hint) => Some(hint),
                None => return invalid("id_token_hint is not an ID token of this server"),
            },
        };
        let hinted_client = hint.as_ref().map(|hint| hint.client_id.as_str());
        let client = match (hinted_client, request.client_id) {
            // §2: if both are there, they must be of the same client.
            (Some(hinted), Some(named)) if hinted != named => {
                return invalid("id_token_hint was not issued to this client");
            }
            (None, None) => None,
            (Some(id), _) | (None, Some(id)) => match self.known_client(id) {
                Some(client) => Some(client),
                None => return invalid("there is no such client"),
            },
        };
        let return_to = match (request.post_logout_redirect_uri, &client) {
            (None, _) => None,
            (Some(uri), Some(client)) if is_registered(client, uri) => {
                Some(with_state(uri, request.state))
            }
            (Some(_), _) => {
                return invalid(
                    "post_logout_redirect_uri is not registered for this client; name it by \
                     client_id or id_token_hint",
                );
            }
        };
        if return_to
            .as_ref()
            .is_some_and(|uri| uri.len() > MOST_RETURN_BYTES)
        {
            return invalid("state is too long: with it, the way back has at most 4096 characters");
        }
        Ok(EndSession {
            client_id: client.map(|client| client.id.clone()),
            return_to,
            hinted: hint.and_then(|hint| hint.session),
        })
    }

    /// Whether the person need not be asked: the client has shown an ID token of a session that was
    /// opened from this very login (§2). One from an earlier login may be old and anybody's by now.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn is_vouched_for(
        &self,
        wish: &EndSession,
        signed_in: &SignedIn,
    ) -> Result<bool, StoreError> {
        let session = self.hinted_session(wish).await?;
        Ok(session.is_some_and(|session| {
            session.terms.login_id == Some(signed_in.login.id)
                && session.terms.user_id == signed_in.user.id
        }))
    }

    /// Ends what the client has shown an ID token of, where no browser's login stands for it: an app
    /// that signs people in in a window without cookies wants to be rid of its session all the same.
    ///
    /// # Errors
    /// When the database does not do it.
    pub async fn end_hinted_session(
        &self,
        wish: &EndSession,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), AccountError> {
        let Some(session) = self.hinted_session(wish).await? else {
            return Ok(());
        };
        if session.terms.outlives_login() {
            return Ok(());
        }
        let reason = EndReason::LoggedOut;
        self.accounts
            .end_session(&session, reason, origin, now)
            .await?;
        Ok(())
    }

    async fn hinted_session(&self, wish: &EndSession) -> Result<Option<Session>, StoreError> {
        let Some(id) = wish.hinted else {
            return Ok(None);
        };
        let found = self.accounts.store.find_session(id).await?;
        Ok(found
            .map(|stored| stored.session)
            .filter(|session| wish.client_id.as_ref() == Some(&session.terms.client_id)))
    }

    fn known_client(&self, id: &str) -> Option<Arc<Client>> {
        self.live_client(&id.parse().ok()?)
    }
}

fn is_registered(client: &Client, uri: &str) -> bool {
    let mut registered = client.metadata.post_logout_redirect_uris.iter();
    registered.any(|own| own.matches(uri))
}

fn with_state(uri: &str, state: Option<&str>) -> String {
    let Some(state) = state else {
        return uri.to_owned();
    };
    let state: String = form_urlencoded::byte_serialize(state.as_bytes()).collect();
    format!("{uri}{}state={state}", query_separator(uri))
}
