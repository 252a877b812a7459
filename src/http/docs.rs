//! `GET /docs`: the contract as a page.

use actix_web::HttpResponse;

pub(super) async fn get() -> HttpResponse {
    HttpResponse::Ok().body("")
}
