//! Which client a request is from (RFC 6749 §2.3), and where it comes from.

use actix_web::HttpRequest;
use actix_web::http::header;
use zeroize::Zeroizing;

use super::Endpoints;
use super::basic_auth::{self, Authorization};
use super::client_address::client_address;
use super::error::ApiError;
use super::form::Form;
use super::observe::Caller;
use crate::domain::Timestamp;
use crate::domain::client::ClientAuthMethod;
use crate::domain::device::DeviceLabel;
use crate::domain::error::OAuthError;
use crate::domain::network::is_public;
use crate::grants::{AuthenticatedClient, ClientCredential, Presentation, RequestContext};

/// RFC 6749 §2.3: the client says, and proves if it can, who it is before anything else is looked
/// at.
pub(super) fn authenticate(
    endpoints: &Endpoints,
    request: &HttpRequest,
    form: &Form,
    now: Timestamp,
) -> Result<AuthenticatedClient, ApiError> {
    let challenge = request.headers().contains_key(header::AUTHORIZATION);
    let refused = |error| ApiError::OAuth { error, challenge };
    let credential = client_credential(request, form).map_err(refused)?;
    if let Ok(id) = credential.client_id.parse() {
        Caller::note(request, &id);
    }
    endpoints
        .service
        .authenticate_client(&credential, now)
        .map_err(refused)
}

/// The one credential of the request (RFC 6749 §2.3: not more than one way of authenticating).
fn client_credential(request: &HttpRequest, form: &Form) -> Result<ClientCredential, OAuthError> {
    let (body_id, body_secret) = (form.value("client_id"), form.value("client_secret"));
    match (basic_auth::read(request.headers()), body_id, body_secret) {
        (Authorization::Basic { .. } | Authorization::Malformed, _, Some(_)) => Err(
            OAuthError::invalid_request("authenticate in the header or in the form, not both"),
        ),
        (Authorization::Basic { client_id, .. }, Some(other), None) if client_id != other => Err(
            OAuthError::invalid_request("client_id in the form is not that of the header"),
        ),
        (Authorization::Basic { client_id, secret }, _, None) => Ok(ClientCredential {
            client_id,
            presentation: Presentation::Secret(secret, ClientAuthMethod::ClientSecretBasic),
        }),
        (Authorization::Absent, Some(client_id), Some(secret)) => Ok(ClientCredential {
            client_id: client_id.to_owned(),
            presentation: Presentation::Secret(
                Zeroizing::new(secret.to_owned()),
                ClientAuthMethod::ClientSecretPost,
            ),
        }),
        // RFC 6749 §3.2.1: a public client names itself.
        (Authorization::Absent, Some(client_id), None) => Ok(ClientCredential {
            client_id: client_id.to_owned(),
            presentation: Presentation::Nothing,
        }),
        (Authorization::Absent, None, _) | (Authorization::Malformed, _, None) => {
            Err(OAuthError::invalid_client())
        }
    }
}

/// Where a request comes from.
pub(super) fn context(endpoints: &Endpoints, request: &HttpRequest) -> RequestContext {
    let user_agent = request.headers().get(header::USER_AGENT);
    let trusted = &endpoints.trusted_proxies;
    let address = client_address(request, trusted);
    RequestContext {
        address,
        address_counts: address.is_some_and(|it| is_public(it) || trusted.contains(it)),
        device: user_agent
            .and_then(|value| value.to_str().ok())
            .and_then(DeviceLabel::of_user_agent),
    }
}
