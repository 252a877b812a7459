//! `GET` and `POST /oauth/authorize` (RFC 6749 §3.1, `OpenID` Connect Core §3.1.2).

use actix_web::{HttpRequest, HttpResponse, web};
use url::form_urlencoded;

use super::answer::redirect;
use super::errands::Stop;
use super::page_error::{PageError, authorization_failed};
use super::visitor::{Visitor, visit};
use crate::grants::{AuthorizationParameters, Errand, PendingRequest};
use crate::http::Endpoints;
use crate::http::error::ApiError;
use crate::http::form::{RawForm, pairs};
use crate::http::observe::Caller;

pub(in crate::http) async fn get(
    endpoints: web::Data<Endpoints>,
    request: HttpRequest,
) -> HttpResponse {
    visit(&endpoints, &request, async |visitor| {
        let parameters = parameters(visitor.request.query_string())?;
        begin(&visitor, &parameters).await
    })
    .await
}

async fn begin(
    visitor: &Visitor<'_>,
    parameters: &AuthorizationParameters,
) -> Result<HttpResponse, PageError> {
    if let Some(Ok(id)) = parameters.first("client_id").map(str::parse) {
        Caller::note(visitor.request, &id);
    }
    let service = &visitor.endpoints.service;
    let asked = service
        .authorization_request(parameters, &visitor.context, visitor.now)
        .await;
    match asked {
        Ok(asked) => {
            let errand = Errand::Authorize(Box::new(PendingRequest::new(asked)));
            Stop::new(visitor, errand).go_on().await
        }
        Err(error) => authorization_failed(error, visitor.endpoints, &visitor.frame()),
    }
}

fn parameters(query: &str) -> Result<AuthorizationParameters, PageError> {
    let pairs = pairs(query).map_err(PageError::bad_request)?;
    let pairs = pairs.map(|pair| pair.map(|(name, value)| (name, value.to_string())));
    let pairs: Result<Vec<_>, _> = pairs.collect();
    Ok(AuthorizationParameters::new(
        pairs.map_err(PageError::bad_request)?,
    ))
}

/// A form of another site comes without the cookies, which are `SameSite=Lax`; the browser brings
/// them when it is sent here again by address.
pub(in crate::http) async fn post(
    endpoints: web::Data<Endpoints>,
    request: HttpRequest,
    form: Result<RawForm, ApiError>,
) -> HttpResponse {
    visit(&endpoints, &request, async |visitor| {
        let RawForm(pairs) = form?;
        let parameters = AuthorizationParameters::new(pairs);
        if parameters.is_too_long() {
            // It is refused whoever comes, and as an address it might not come through a proxy.
            return begin(&visitor, &parameters).await;
        }
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters.iter())
            .finish();
        let path = visitor.pages().path("/oauth/authorize");
        redirect(&format!("{path}?{query}"))
    })
    .await
}
