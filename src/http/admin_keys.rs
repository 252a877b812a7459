//! `/api/admin/keys`: what `tokensmith keys` does, over HTTP.

use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::admin_clients::answer;
use super::administrator::Administrator;
use super::error::ApiError;
use super::json_body::JsonBody;
use super::page::{self, PageQuery, PageRequest};
use super::{Endpoints, only};
use crate::admin::view::{self, KeyView};
use crate::domain::algorithm::Algorithm;
use crate::domain::id::Kid;
use crate::domain::key::SigningKey;
use crate::domain::key_schedule::Activation;

type Answer = Result<HttpResponse, ApiError>;

pub(super) fn mount(config: &mut web::ServiceConfig) {
    config
        .service(only("/keys", &[Method::GET]).route(web::get().to(list)))
        .service(only("/keys/rotate", &[Method::POST]).route(web::post().to(rotate)))
        .service(only("/keys/import", &[Method::POST]).route(web::post().to(import)))
        .service(only("/keys/{kid}/revoke", &[Method::POST]).route(web::post().to(revoke)));
}

#[derive(Serialize)]
struct KeyPage {
    keys: Vec<KeyView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

async fn list(
    _: Administrator,
    endpoints: web::Data<Endpoints>,
    query: Result<web::Query<PageQuery>, actix_web::Error>,
) -> Answer {
    let page: PageRequest<Kid> = PageRequest::parse(query)?;
    let keys = endpoints.administration.keys.list().await?;
    let mut views = view::keys(&keys, endpoints.clock.now());
    if let Some(after) = page.after {
        let position = views.iter().position(|view| view.kid == after.as_str());
        let position = position.ok_or_else(page::unknown_cursor)?;
        views.drain(..=position);
    }
    let next_cursor = page::cut(&mut views, page.limit, |view| view.kid.clone());
    Ok(answer(
        StatusCode::OK,
        &KeyPage {
            keys: views,
            next_cursor,
        },
    ))
}

/// How to rotate keys.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    #[serde(default)]
    alg: Algorithm,
    /// For emergencies: the new key signs two seconds later.
    #[serde(default)]
    now: bool,
}

async fn rotate(
    administrator: Administrator,
    endpoints: web::Data<Endpoints>,
    JsonBody(rotation): JsonBody<Rotation>,
) -> Answer {
    let keys = endpoints
        .administration
        .keys
        .rotate(
            rotation.alg,
            activation(rotation.now),
            &administrator.origin,
        )
        .await?;
    changed(&endpoints, &keys).await
}

/// A key that an administrator brings.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Import {
    pem: String,
    #[serde(default)]
    alg: Algorithm,
    #[serde(default)]
    now: bool,
}

async fn import(
    administrator: Administrator,
    endpoints: web::Data<Endpoints>,
    JsonBody(body): JsonBody<Import>,
) -> Answer {
    let pem = Zeroizing::new(body.pem);
    let keys = endpoints
        .administration
        .keys
        .import(&pem, body.alg, activation(body.now), &administrator.origin)
        .await?;
    changed(&endpoints, &keys).await
}

async fn revoke(
    administrator: Administrator,
    endpoints: web::Data<Endpoints>,
    kid: web::Path<String>,
) -> Answer {
    let kid: Kid = kid.parse().map_err(|_| ApiError::NotFound)?;
    let keys = endpoints
        .administration
        .keys
        .revoke(&kid, &administrator.origin)
        .await?;
    let response = changed(&endpoints, &keys).await?;
    Ok(endpoints.with_revocation_seq(response).await)
}

async fn changed(endpoints: &Endpoints, keys: &[SigningKey]) -> Answer {
    endpoints.replica.catch_up().await;
    let keys = view::keys(keys, endpoints.clock.now());
    Ok(answer(
        StatusCode::OK,
        &KeyPage {
            keys,
            next_cursor: None,
        },
    ))
}

fn activation(now: bool) -> Activation {
    if now {
        Activation::Immediately
    } else {
        Activation::AfterLeadTime
    }
}
