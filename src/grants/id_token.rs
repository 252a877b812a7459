//! ID tokens (`OpenID` Connect Core §2).

use serde::Serialize;
use serde_json::{Map, Value};
use tokensmith_verify::ScopeSet;

use super::{GrantError, TokenService};
use crate::domain::Timestamp;
use crate::domain::algorithm::Algorithm;
use crate::domain::client::Client;
use crate::domain::ports::TokenKind;
use crate::domain::session::SessionTerms;

/// The one algorithm of ID tokens: the default that every client has to understand (`OpenID` Connect
/// Dynamic Registration §2).
const ALGORITHM: Algorithm = Algorithm::RS256;

/// What one ID token says.
pub(super) struct IdTokenGrant<'a> {
    pub(super) session: &'a SessionTerms,
    pub(super) nonce: Option<&'a str>,
    /// Claims about the person that the request asked for.
    pub(super) claims: Option<Map<String, Value>>,
    pub(super) access_token: &'a str,
}

#[derive(Serialize)]
struct IdTokenClaims<'a> {
    iss: &'a str,
    sub: String,
    /// The client and nobody else, so that it is no access token for any API.
    aud: &'a str,
    exp: i64,
    iat: i64,
    auth_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    acr: &'a str,
    amr: Vec<&'static str>,
    at_hash: String,
    sid: String,
    #[serde(flatten)]
    person: Map<String, Value>,
}

impl TokenService {
    /// Whether an ID token can be signed now, where one will be; asked before something is used up
    /// for it.
    pub(super) fn check_id_token_signer(
        &self,
        scope: &ScopeSet,
        now: Timestamp,
    ) -> Result<(), GrantError> {
        if scope.contains("openid") && self.keys.signer(ALGORITHM, now).is_none() {
            return Err(GrantError::NoSigningKey(ALGORITHM));
        }
        Ok(())
    }

    /// Makes an ID token. It lives as long as the access token beside it.
    pub(super) fn issue_id_token(
        &self,
        client: &Client,
        grant: IdTokenGrant<'_>,
        now: Timestamp,
    ) -> Result<String, GrantError> {
        let signer = self
            .keys
            .signer(ALGORITHM, now)
            .ok_or(GrantError::NoSigningKey(ALGORITHM))?;
        let lifetime = client
            .metadata
            .access_token_lifetime(self.access_token_lifetime);
        let session = grant.session;
        let authentication = &session.authentication;
        let methods = authentication.methods.iter();
        let issued_at = now.timestamp();
        let claims = IdTokenClaims {
            iss: self.issuer.as_str(),
            sub: session.user_id.to_string(),
            aud: client.id.as_str(),
            exp: issued_at.saturating_add_unsigned(lifetime.as_secs()),
            iat: issued_at,
            auth_time: authentication.at.timestamp(),
            nonce: grant.nonce,
            acr: authentication.context_class(),
            amr: methods.map(|method| method.as_str()).collect(),
            at_hash: self.accounts.tokens.access_token_hash(grant.access_token),
            sid: session.id.to_string(),
            person: grant.claims.unwrap_or_default(),
        };
        let payload = serde_json::to_vec(&claims).map_err(GrantError::Claims)?;
        Ok(signer.sign(TokenKind::IdToken, &payload)?)
    }
}
