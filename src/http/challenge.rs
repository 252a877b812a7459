//! `POST /oauth/challenge` (draft-ietf-oauth-first-party-apps §5).

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;
use zeroize::Zeroizing;

use super::Endpoints;
use super::client;
use super::error::ApiError;
use super::form::Form;
use crate::domain::device::DeviceLabel;
use crate::domain::error::OAuthError;
use crate::grants::{ChallengeRequest, GrantError};

pub(super) async fn post(
    endpoints: web::Data<Endpoints>,
    request: HttpRequest,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let now = endpoints.clock.now();
    let client = client::authenticate(&endpoints, &request, &form, now).await?;
    let mut context = client::context(&endpoints, &request);
    if let Some(name) = form.value("device_name") {
        let label = DeviceLabel::parse(name).map_err(|error| {
            GrantError::from(OAuthError::invalid_request(format!("device_name: {error}")))
        })?;
        context.device = Some(label);
    }
    let answer = endpoints
        .service
        .challenge(&client, parameters(&form), &context, now)
        .await;
    endpoints.metrics.login(match &answer {
        Ok(_) => "succeeded",
        Err(refusal) => super::error::challenge_outcome(refusal),
    });
    let code = answer?.authorization_code;
    endpoints.refund_address(&request);
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(json!({ "authorization_code": code.as_str() })))
}

fn parameters(form: &Form) -> ChallengeRequest {
    let text = |name| form.value(name).map(ToOwned::to_owned);
    ChallengeRequest {
        response_type: text("response_type"),
        scope: text("scope"),
        resources: form.values("resource").map(ToOwned::to_owned).collect(),
        code_challenge: text("code_challenge"),
        code_challenge_method: text("code_challenge_method"),
        prompt: text("prompt"),
        username: text("username"),
        email: text("email"),
        password: text("password").map(Zeroizing::new),
        auth_session: text("auth_session"),
        refresh_token: text("refresh_token").map(Zeroizing::new),
    }
}
