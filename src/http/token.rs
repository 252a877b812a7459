//! `POST /oauth/token` (RFC 6749 §3.2).

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use serde::Serialize;

use super::Endpoints;
use super::client;
use super::error::ApiError;
use super::form::Form;
use crate::domain::Timestamp;
use crate::domain::client::GrantType;
use crate::domain::error::{OAuthError, OAuthErrorCode};
use crate::grants::{
    AuthenticatedClient, AuthorizationCodeRequest, ClientCredentialsRequest, GrantError,
    RefreshRequest, TokenResponse,
};

pub(super) async fn post(
    endpoints: web::Data<Endpoints>,
    request: HttpRequest,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let now = endpoints.clock.now();
    let client = client::authenticate(&endpoints, &request, &form, now).await?;
    let grant = grant_type(&form).map_err(GrantError::Refused)?;
    let (client, now) = match endpoints.service.wait_out_cut_off(&client, now).await {
        later if later > now => {
            // What has cut its tokens off may have been its own end, which is known by now.
            let client = client::authenticate_again(&endpoints, &request, &form, later)?;
            (client, later)
        }
        _ => (client, now),
    };
    let asked = Asked {
        endpoints: &endpoints,
        client: &client,
        request: &request,
        form: &form,
        now,
    };
    let answer = match grant {
        GrantType::ClientCredentials => asked.client_credentials(),
        GrantType::AuthorizationCode => asked.authorization_code().await,
        GrantType::RefreshToken => asked.refresh_token().await,
    };
    let response = match answer {
        Ok(response) => response,
        // The same header whatever was wrong, because the answer does not say what.
        Err(error) if error.is_invalid_grant() => {
            if error.may_have_revoked() {
                endpoints.settle_revocations().await;
            }
            let refused = ApiError::from(error).error_response();
            return Ok(endpoints.with_known_revocation_seq(refused));
        }
        Err(error) => return Err(error.into()),
    };
    endpoints.refund_address(&request);
    endpoints
        .metrics
        .token_issued(grant.as_str(), client.id.as_str());
    Ok(render(&response))
}

/// A request of a client that has proved who it is.
struct Asked<'a> {
    endpoints: &'a Endpoints,
    client: &'a AuthenticatedClient,
    request: &'a HttpRequest,
    form: &'a Form,
    now: Timestamp,
}

impl Asked<'_> {
    fn client_credentials(&self) -> Result<TokenResponse, GrantError> {
        let parameters = ClientCredentialsRequest {
            scope: self.form.value("scope"),
            resources: self.form.values("resource").collect(),
        };
        let service = &self.endpoints.service;
        service.client_credentials(self.client, &parameters, self.now)
    }

    async fn authorization_code(&self) -> Result<TokenResponse, GrantError> {
        let parameters = AuthorizationCodeRequest {
            code: self.form.value("code"),
            code_verifier: self.form.value("code_verifier"),
            redirect_uri: self.form.value("redirect_uri"),
            scope: self.form.value("scope"),
            resources: self.form.values("resource").collect(),
        };
        let context = client::context(self.endpoints, self.request);
        let service = &self.endpoints.service;
        service
            .authorization_code(self.client, &parameters, &context, self.now)
            .await
    }

    async fn refresh_token(&self) -> Result<TokenResponse, GrantError> {
        let parameters = RefreshRequest {
            refresh_token: self.form.value("refresh_token"),
            idempotency_key: idempotency_key(self.request)?,
            scope: self.form.value("scope"),
            resources: self.form.values("resource").collect(),
        };
        let context = client::context(self.endpoints, self.request);
        let service = &self.endpoints.service;
        let answer = service
            .refresh_token(self.client, &parameters, &context, self.now)
            .await;
        match &answer {
            Ok((_, outcome)) => self.endpoints.metrics.refreshed(outcome.as_str()),
            Err(GrantError::Refresh(why)) => self.endpoints.metrics.refreshed(why.as_str()),
            Err(_) => {}
        }
        answer.map(|(response, _)| response)
    }
}

fn grant_type(form: &Form) -> Result<GrantType, OAuthError> {
    let name = form
        .value("grant_type")
        .ok_or_else(|| OAuthError::invalid_request("grant_type is missing"))?;
    name.parse().map_err(|_| {
        let offered = GrantType::ALL.map(GrantType::as_str).join(", ");
        let description = format!("this server offers the grant types {offered}");
        OAuthError::new(OAuthErrorCode::UnsupportedGrantType, description)
    })
}

/// The `Idempotency-Key` of the request (draft-ietf-httpapi-idempotency-key-header §2.1), quoted
/// or not: only whether two are the same matters.
fn idempotency_key(request: &HttpRequest) -> Result<Option<&[u8]>, GrantError> {
    const NAME: header::HeaderName = header::HeaderName::from_static("idempotency-key");
    const MOST_BYTES: usize = 256;
    let mut given = request.headers().get_all(NAME);
    let (Some(first), second) = (given.next(), given.next()) else {
        return Ok(None);
    };
    let key = first.as_bytes();
    let is_well_formed = (1..=MOST_BYTES).contains(&key.len()) && second.is_none();
    if !is_well_formed {
        let description = "Idempotency-Key is one header of 1 to 256 bytes";
        return Err(OAuthError::invalid_request(description).into());
    }
    Ok(Some(key))
}

/// RFC 6749 §5.1.
fn render(response: &TokenResponse) -> HttpResponse {
    #[derive(Serialize)]
    struct Body<'a> {
        access_token: &'a str,
        token_type: &'static str,
        expires_in: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        refresh_token: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        id_token: Option<&'a str>,
        #[serde(skip_serializing_if = "str::is_empty")]
        scope: &'a str,
    }
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::PRAGMA, "no-cache"))
        .json(Body {
            access_token: &response.access_token,
            token_type: "Bearer",
            expires_in: response.expires_in.as_secs(),
            refresh_token: response.refresh_token.as_deref().map(String::as_str),
            id_token: response.id_token.as_deref(),
            scope: response.scope.as_str(),
        })
}
