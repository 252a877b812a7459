//! Which client a request is from (RFC 6749 §2.3), and where it comes from.

use std::net::IpAddr;

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
use crate::domain::error::{OAuthError, OAuthErrorCode};
use crate::domain::network::{Networks, is_public};
use crate::grants::{AuthenticatedClient, ClientCredential, Presentation, RequestContext};

/// RFC 6749 §2.3: the client says, and proves if it can, who it is before anything else is looked
/// at.
pub(super) async fn authenticate(
    endpoints: &Endpoints,
    request: &HttpRequest,
    form: &Form,
    now: Timestamp,
) -> Result<AuthenticatedClient, ApiError> {
    let challenge = request.headers().contains_key(header::AUTHORIZATION);
    let mut claimed = None;
    let client = client_credential(request, form).and_then(|credential| {
        claimed = credential.client_id.parse().ok();
        if let Some(id) = &claimed {
            Caller::note(request, id);
        }
        endpoints.service.authenticate_client(&credential, now)
    });
    match &client {
        Ok(client) if !client.is_public() => endpoints.charge_client(&client.id, now)?,
        Ok(_) => endpoints.charge_address(request, now)?,
        Err(error) => {
            endpoints.charge_address(request, now)?;
            if error.code == OAuthErrorCode::InvalidClient {
                let address = client_address(request, &endpoints.trusted_proxies);
                let service = &endpoints.service;
                let noted = service.note_refused_client(claimed.as_ref(), address, now);
                noted.await;
            }
        }
    }
    client.map_err(|error| ApiError::OAuth { error, challenge })
}

/// The same for a request that has waited since it was authenticated: the client may be disabled or
/// gone, its secret replaced. It was charged already.
pub(super) fn authenticate_again(
    endpoints: &Endpoints,
    request: &HttpRequest,
    form: &Form,
    now: Timestamp,
) -> Result<AuthenticatedClient, ApiError> {
    let challenge = request.headers().contains_key(header::AUTHORIZATION);
    client_credential(request, form)
        .and_then(|credential| endpoints.service.authenticate_client(&credential, now))
        .map_err(|error| ApiError::OAuth { error, challenge })
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
        address_counts: address.is_some_and(|address| counts(address, trusted)),
        device: user_agent
            .and_then(|value| value.to_str().ok())
            .and_then(DeviceLabel::of_user_agent),
    }
}

/// The address that a request comes from, where it can be told.
pub(super) fn counted_address(endpoints: &Endpoints, request: &HttpRequest) -> Option<IpAddr> {
    let trusted = &endpoints.trusted_proxies;
    client_address(request, trusted).filter(|address| counts(*address, trusted))
}

/// Behind a proxy that nobody has named everybody seems to have its private address, which says nothing.
fn counts(address: IpAddr, trusted: &Networks) -> bool {
    is_public(address) || trusted.contains(address)
}
