//! The hosted pages and the endpoints that browsers visit: extract, one use case, render. What a page
//! looks like is in [`crate::web`]; here is who is asking, and what must not go wrong on the way.

mod account;
mod answer;
mod assets;
mod authorize;
mod consent;
mod cookies;
mod devices;
mod errands;
mod login;
mod logout;
mod page_error;
mod sign_up;
mod visitor;

use actix_web::http::Method;
use actix_web::web;

use super::{only, readable};
use crate::domain::issuer::Issuer;
use crate::web::{Brand, style_sheet, style_version};

use cookies::CookieNames;
pub(super) use page_error::not_found;

/// What the pages need to know at every visit; made once.
pub(super) struct Pages {
    brand: Brand,
    style_sheet: String,
    style_version: String,
    /// The path that every link begins with: empty, or like `/auth`.
    base: String,
    /// Whether cookies may travel over plain http: for an issuer on loopback only.
    is_secure: bool,
    cookie_names: CookieNames,
}

impl Pages {
    pub(super) fn new(brand: Brand, issuer: &Issuer) -> Self {
        Self {
            style_sheet: style_sheet(&brand),
            style_version: style_version(&brand),
            base: issuer.path().to_owned(),
            cookie_names: CookieNames::new(issuer.path(), issuer.is_https()),
            is_secure: issuer.is_https(),
            brand,
        }
    }

    /// The address of a page on this server.
    fn path(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

const GET_AND_POST: &[Method] = &[Method::GET, Method::HEAD, Method::POST];

/// Mounts the pages under the path of the issuer.
pub(super) fn mount(config: &mut web::ServiceConfig) {
    let both = |path| only(path, GET_AND_POST);
    // Whoever types the address of a form, or reloads it, sees the page that it is on.
    let form = |path| {
        both(path)
            .route(web::get().to(account::to_account))
            .route(web::head().to(account::to_account))
    };
    config
        // Without HEAD, which must change nothing: a visit here may be granted a code, or sign
        // somebody out.
        .service(
            only("/oauth/authorize", &[Method::GET, Method::POST])
                .route(web::get().to(authorize::get))
                .route(web::post().to(authorize::post)),
        )
        .service(
            only("/oauth/logout", &[Method::GET, Method::POST])
                .route(web::get().to(logout::begin))
                .route(web::post().to(logout::begin_by_post)),
        )
        .service(
            both("/login")
                .route(web::get().to(login::get))
                .route(web::head().to(login::get))
                .route(web::post().to(login::post)),
        )
        .service(
            both("/signup")
                .route(web::get().to(sign_up::get))
                .route(web::head().to(sign_up::get))
                .route(web::post().to(sign_up::post)),
        )
        .service(
            both("/consent")
                .route(web::get().to(consent::get))
                .route(web::head().to(consent::get))
                .route(web::post().to(consent::post)),
        )
        .service(
            both("/logout")
                .route(web::get().to(logout::get))
                .route(web::head().to(logout::get))
                .route(web::post().to(logout::post)),
        )
        .service(readable("/account", account::get))
        .service(form("/account/profile").route(web::post().to(account::profile)))
        .service(form("/account/password").route(web::post().to(account::password)))
        .service(form("/account/consents").route(web::post().to(account::consents)))
        .service(
            both("/account/devices")
                .route(web::get().to(devices::get))
                .route(web::head().to(devices::get))
                .route(web::post().to(devices::post)),
        )
        .service(readable("/pages.css", assets::style_sheet))
        .service(readable("/form-post.js", assets::form_post))
        .service(readable("/account.js", assets::account))
        .service(readable("/logo", assets::logo));
}
