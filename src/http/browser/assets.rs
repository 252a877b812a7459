//! What the pages load: one style sheet, two scripts, one logo. Their addresses carry a version, so
//! browsers may keep them.

use actix_web::http::header::{self, HeaderName};
use actix_web::{HttpResponse, web};

use crate::http::Endpoints;
use crate::web::{ACCOUNT_SCRIPT, FORM_POST_SCRIPT};

const KEEP: (HeaderName, &str) = (header::CACHE_CONTROL, "public, max-age=31536000, immutable");
const NO_SNIFFING: (HeaderName, &str) = (header::X_CONTENT_TYPE_OPTIONS, "nosniff");
/// An SVG that is opened by itself is a document, and could run what is in it.
const INERT: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

pub(super) async fn style_sheet(endpoints: web::Data<Endpoints>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/css; charset=utf-8"))
        .insert_header(NO_SNIFFING)
        .insert_header(KEEP)
        .body(endpoints.pages.style_sheet.clone())
}

pub(super) async fn form_post() -> HttpResponse {
    script(FORM_POST_SCRIPT)
}

pub(super) async fn account() -> HttpResponse {
    script(ACCOUNT_SCRIPT)
}

fn script(text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/javascript; charset=utf-8"))
        .insert_header(NO_SNIFFING)
        // Its address has no version.
        .insert_header((header::CACHE_CONTROL, "public, max-age=300"))
        .body(text)
}

pub(super) async fn logo(endpoints: web::Data<Endpoints>) -> HttpResponse {
    let (content_type, bytes) = endpoints.pages.brand.icon();
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, content_type))
        .insert_header((header::CONTENT_SECURITY_POLICY, INERT))
        .insert_header(NO_SNIFFING)
        .insert_header(KEEP)
        .body(bytes.into_owned())
}
