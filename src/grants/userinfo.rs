//! Userinfo (`OpenID` Connect Core §5.3).

use serde_json::{Map, Value};

use super::{PresentedToken, TokenService};
use crate::domain::Timestamp;
use crate::domain::claims::RequestedClaims;
use crate::domain::ports::StoreError;

/// Why nothing is told.
#[derive(Debug, thiserror::Error)]
pub enum UserinfoRefusal {
    /// The token is not good, or none of a person.
    #[error("{0}")]
    InvalidToken(&'static str),
    /// The token lacks the scope `openid`.
    #[error("the token lacks the scope openid")]
    InsufficientScope,
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TokenService {
    /// What is known about the person of an access token, as far as its scope and its session go.
    /// The token may be for any API: the client asks about its own user.
    ///
    /// # Errors
    /// When the token is not a live access token of a person with scope `openid`.
    pub async fn userinfo(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<Map<String, Value>, UserinfoRefusal> {
        let invalid = UserinfoRefusal::InvalidToken;
        let (scope, session) = match self.judge_token(token, now).await? {
            Ok(PresentedToken::Person { claims, session }) => {
                // RFC 9449 §7.2: a token that is bound to a key is no bearer token.
                if claims.is_sender_constrained() {
                    return Err(invalid("sender_constrained"));
                }
                (claims.scope.clone(), session)
            }
            Ok(PresentedToken::Reference { scope, session, .. }) => (scope, session),
            Ok(PresentedToken::Service { .. }) => return Err(invalid("not_a_person")),
            Ok(PresentedToken::Refresh { .. }) => return Err(invalid("refresh_token")),
            Err(reason) => return Err(invalid(reason)),
        };
        if !scope.contains("openid") {
            return Err(UserinfoRefusal::InsufficientScope);
        }
        let terms = &session.terms;
        let Some(user) = self.accounts.store.find_user(terms.user_id).await? else {
            return Err(invalid("user_deleted"));
        };
        let mut told = RequestedClaims::of_scope(&scope)
            .and(&terms.claims)
            .values(&user);
        // §5.3.2: always, so that the client can compare it with that of the ID token.
        told.insert("sub".to_owned(), terms.user_id.to_string().into());
        self.memory.note_use(terms.id, now, None);
        Ok(told)
    }
}
