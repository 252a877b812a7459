//! `GET` and `POST /oauth/userinfo` (`OpenID` Connect Core §5.3).

use actix_web::http::header;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};

use super::Endpoints;
use super::bearer;
use super::error::{ApiError, BearerError};
use super::form::Form;
use crate::grants::{GrantError, UserinfoRefusal};

pub(super) async fn get(
    endpoints: web::Data<Endpoints>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let token = bearer::token(&request).map_err(ApiError::Bearer)?;
    tell(&endpoints, token).await
}

/// The token is in the header, or in the form (RFC 6750 §2.2), not in both.
pub(super) async fn post(
    endpoints: web::Data<Endpoints>,
    request: HttpRequest,
    form: Result<Form, ApiError>,
) -> Result<HttpResponse, ApiError> {
    // A body that is no form says nothing (§5.3.1); one that is must be in order.
    let is_form = request
        .content_type()
        .eq_ignore_ascii_case("application/x-www-form-urlencoded");
    let form = if is_form { Some(form?) } else { None };
    let in_form = form.as_ref().and_then(|form| form.value("access_token"));
    let token = match (bearer::token(&request), in_form) {
        (Ok(token), None) | (Err(BearerError::Missing), Some(token)) => token,
        (Ok(_), Some(_)) => return Err(ApiError::Bearer(BearerError::InvalidRequest)),
        (Err(error), _) => return Err(ApiError::Bearer(error)),
    };
    tell(&endpoints, token).await
}

async fn tell(endpoints: &Endpoints, token: &str) -> Result<HttpResponse, ApiError> {
    let now = endpoints.clock.now();
    match endpoints.service.userinfo(token, now).await {
        Ok(claims) => Ok(HttpResponse::Ok()
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .json(claims)),
        Err(UserinfoRefusal::InvalidToken(reason)) => {
            Err(ApiError::Bearer(BearerError::InvalidToken(reason)))
        }
        Err(UserinfoRefusal::InsufficientScope) => {
            Err(ApiError::Bearer(BearerError::InsufficientScope("openid")))
        }
        Err(UserinfoRefusal::Store(error)) => Err(GrantError::from(error).into()),
    }
}
