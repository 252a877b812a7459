//! `GET /.well-known/jwks.json` (RFC 7517 §5).

use actix_web::{HttpRequest, HttpResponse, web};

use super::{Endpoints, published};

pub(super) async fn get(endpoints: web::Data<Endpoints>, request: HttpRequest) -> HttpResponse {
    let jwks = endpoints.replica.keys.jwks();
    published::answer(
        &request,
        "/.well-known/jwks.json",
        &jwks.body,
        &jwks.etag,
        &endpoints.jwks_cache_control,
    )
}
