//! `/api/admin/clients`: what `tokensmith client` does, over HTTP.

use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpResponse, web};
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::administrator::Administrator;
use super::error::ApiError;
use super::json_body::{JsonBody, does_not_fit};
use super::page::{self, PageQuery, PageRequest};
use super::{Endpoints, only};
use crate::admin::clients::{DEFAULT_OVERLAP, MOST_OVERLAP, RotationWish};
use crate::admin::view::{ClientView, ClientWithSecretView};
use crate::domain::client::ClientMetadata;
use crate::domain::id::ClientId;

type Answer = Result<HttpResponse, ApiError>;

pub(super) fn mount(config: &mut web::ServiceConfig) {
    config
        .service(
            only("/clients", &[Method::GET, Method::POST])
                .route(web::get().to(list))
                .route(web::post().to(create)),
        )
        .service(
            only("/clients/{id}", &[Method::GET, Method::DELETE])
                .route(web::get().to(show))
                .route(web::delete().to(delete)),
        )
        .service(only("/clients/{id}/disable", &[Method::POST]).route(web::post().to(disable)))
        .service(only("/clients/{id}/enable", &[Method::POST]).route(web::post().to(enable)))
        .service(
            only("/clients/{id}/rotate-secret", &[Method::POST])
                .route(web::post().to(rotate_secret)),
        );
}

#[derive(Serialize)]
struct ClientPage {
    clients: Vec<ClientView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

async fn list(
    _: Administrator,
    endpoints: web::Data<Endpoints>,
    query: Result<web::Query<PageQuery>, actix_web::Error>,
) -> Answer {
    let page: PageRequest<ClientId> = PageRequest::parse(query)?;
    let administration = &endpoints.administration.clients;
    let mut clients = administration
        .list(page.after.as_ref(), page.limit + 1)
        .await?;
    let next_cursor = page::cut(&mut clients, page.limit, |client| client.id.to_string());
    let clients = clients.into_iter().map(ClientView::from).collect();
    Ok(answer(
        StatusCode::OK,
        &ClientPage {
            clients,
            next_cursor,
        },
    ))
}

async fn create(
    administrator: Administrator,
    endpoints: web::Data<Endpoints>,
    JsonBody(mut body): JsonBody<Map<String, Value>>,
) -> Answer {
    let id = match body.remove("client_id") {
        None => None,
        Some(Value::String(text)) => Some(parse_id(&text)?),
        Some(_) => return Err(ApiError::Malformed("client_id is a string".into())),
    };
    if let Some(unknown) = body
        .keys()
        .find(|name| !ClientMetadata::MEMBERS.contains(&name.as_str()))
    {
        let members = ClientMetadata::MEMBERS.join(", ");
        let text = format!("there is no member `{unknown}`; known are client_id, {members}");
        return Err(ApiError::Malformed(text.into()));
    }
    let metadata: ClientMetadata =
        serde_json::from_value(Value::Object(body)).map_err(|error| does_not_fit(&error))?;
    let created = endpoints
        .administration
        .clients
        .create(id, metadata, &administrator.origin, endpoints.clock.now())
        .await?;
    endpoints.replica.catch_up().await;
    let location = endpoints
        .issuer()
        .endpoint(&format!("/api/admin/clients/{}", created.client.id));
    let mut answer = answer(StatusCode::CREATED, &ClientWithSecretView::from(created));
    if let Ok(location) = header::HeaderValue::from_str(&location) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    Ok(answer)
}

async fn show(_: Administrator, endpoints: web::Data<Endpoints>, id: web::Path<String>) -> Answer {
    let client = endpoints
        .administration
        .clients
        .show(&known_id(&id)?)
        .await?;
    Ok(answer(StatusCode::OK, &ClientView::from(client)))
}

async fn delete(
    administrator: Administrator,
    endpoints: web::Data<Endpoints>,
    id: web::Path<String>,
) -> Answer {
    endpoints
        .administration
        .clients
        .delete(
            &known_id(&id)?,
            &administrator.origin,
            endpoints.clock.now(),
        )
        .await?;
    endpoints.replica.catch_up().await;
    let response = HttpResponse::NoContent().finish();
    Ok(endpoints.with_revocation_seq(response).await)
}

async fn disable(
    administrator: Administrator,
    endpoints: web::Data<Endpoints>,
    id: web::Path<String>,
) -> Answer {
    set_enabled(&endpoints, &administrator, &id, false).await
}

async fn enable(
    administrator: Administrator,
    endpoints: web::Data<Endpoints>,
    id: web::Path<String>,
) -> Answer {
    set_enabled(&endpoints, &administrator, &id, true).await
}

async fn set_enabled(
    endpoints: &Endpoints,
    administrator: &Administrator,
    id: &str,
    enabled: bool,
) -> Answer {
    let now = endpoints.clock.now();
    let client = endpoints
        .administration
        .clients
        .set_enabled(&known_id(id)?, enabled, &administrator.origin, now)
        .await?;
    endpoints.replica.catch_up().await;
    let response = answer(StatusCode::OK, &ClientView::from(client));
    Ok(endpoints.with_revocation_seq(response).await)
}

/// How to rotate a secret.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    /// How long the older secret goes on, 0 to 31,536,000; a day when absent.
    overlap_seconds: Option<u32>,
    /// Rotate although two secrets are live; the older of them ends at once.
    #[serde(default)]
    force: bool,
}

async fn rotate_secret(
    administrator: Administrator,
    endpoints: web::Data<Endpoints>,
    id: web::Path<String>,
    JsonBody(rotation): JsonBody<Rotation>,
) -> Answer {
    let overlap = match rotation.overlap_seconds {
        None => DEFAULT_OVERLAP,
        Some(seconds) if i64::from(seconds) <= MOST_OVERLAP.num_seconds() => {
            TimeDelta::seconds(seconds.into())
        }
        Some(_) => {
            return Err(ApiError::Malformed(
                "overlap_seconds is a year at most".into(),
            ));
        }
    };
    let wish = RotationWish {
        overlap,
        force: rotation.force,
    };
    let now = endpoints.clock.now();
    let rotated = endpoints
        .administration
        .clients
        .rotate_secret(&known_id(&id)?, wish, &administrator.origin, now)
        .await?;
    endpoints.replica.catch_up().await;
    let response = answer(StatusCode::OK, &ClientWithSecretView::from(rotated));
    Ok(endpoints.with_revocation_seq(response).await)
}

fn parse_id(text: &str) -> Result<ClientId, ApiError> {
    text.parse()
        .map_err(|error| ApiError::Malformed(format!("client_id: {error}").into()))
}

/// An id in a path that cannot be one names no client.
fn known_id(text: &str) -> Result<ClientId, ApiError> {
    text.parse().map_err(|_| ApiError::NotFound)
}

pub(super) fn answer(status: StatusCode, body: &impl Serialize) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(body)
}
