//! `/logout`, and `/oauth/logout` (`OpenID` Connect RP-Initiated Logout 1.0).

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::account::signed_in_form;
use super::answer::{Permissions, page, redirect, with_cookie};
use super::cookies::Jar;
use super::errands::{AppView, Stop};
use super::page_error::PageError;
use super::visitor::{Visitor, posted, visit};
use crate::accounts::browser::SignedIn;
use crate::domain::ports::ClientDirectory;
use crate::grants::{EndSession, EndSessionRequest, Errand};
use crate::http::Endpoints;
use crate::http::error::ApiError;
use crate::http::form::Form;
use crate::web::{LogoutPage, SignedOutPage};

/// The parameters of a client's wish, or the wish itself, sealed.
#[derive(Deserialize)]
pub(super) struct Wish {
    id_token_hint: Option<String>,
    client_id: Option<String>,
    post_logout_redirect_uri: Option<String>,
    state: Option<String>,
    request: Option<String>,
}

/// A client wants the person to be signed out.
pub(in crate::http) async fn begin(
    endpoints: web::Data<Endpoints>,
    request: HttpRequest,
    wish: Result<web::Query<Wish>, actix_web::Error>,
) -> HttpResponse {
    let response = visit(&endpoints, &request, async |visitor| {
        let unreadable = |_| PageError::bad_request("the address cannot be read");
        let wish = wish.map_err(unreadable)?;
        let wish = match &wish.request {
            Some(sealed) => sealed_wish(&visitor, sealed)?,
            None => read_wish(
                &visitor,
                &EndSessionRequest {
                    id_token_hint: given(wish.id_token_hint.as_ref()),
                    client_id: given(wish.client_id.as_ref()),
                    post_logout_redirect_uri: given(wish.post_logout_redirect_uri.as_ref()),
                    state: given(wish.state.as_ref()),
                },
            )?,
        };
        go_on(&visitor, wish).await
    })
    .await;
    endpoints.with_known_revocation_seq(response)
}

/// RFC 6749 §3.1: a parameter without a value counts as omitted, as in a form.
fn given(value: Option<&String>) -> Option<&str> {
    value.map(String::as_str).filter(|value| !value.is_empty())
}

/// A form of another site comes without the cookies; the browser brings them when it is sent here
/// again by address, which carries the wish sealed and not the ID token.
pub(in crate::http) async fn begin_by_post(
    endpoints: web::Data<Endpoints>,
    request: HttpRequest,
    form: Result<Form, ApiError>,
) -> HttpResponse {
    visit(&endpoints, &request, async |visitor| {
        let form = form?;
        let wish = read_wish(
            &visitor,
            &EndSessionRequest {
                id_token_hint: form.value("id_token_hint"),
                client_id: form.value("client_id"),
                post_logout_redirect_uri: form.value("post_logout_redirect_uri"),
                state: form.value("state"),
            },
        )?;
        let sealed = seal_wish(&visitor, wish)?;
        redirect(
            &visitor
                .pages()
                .path(&format!("/oauth/logout?request={sealed}")),
        )
    })
    .await
}

fn read_wish(
    visitor: &Visitor<'_>,
    request: &EndSessionRequest<'_>,
) -> Result<EndSession, PageError> {
    let read = visitor.endpoints.service.end_session_request(request);
    read.map_err(|error| PageError::shown(&error))
}

/// Between the form of another site and the address that it leads to, the browser has no name: its
/// cookies did not come along.
const ANY_BROWSER: &str = "";

fn seal_wish(visitor: &Visitor<'_>, wish: EndSession) -> Result<String, PageError> {
    let service = &visitor.endpoints.service;
    let errand = Errand::SignOut(wish, None);
    Ok(service.seal_errand(&errand, ANY_BROWSER, visitor.now)?)
}

fn sealed_wish(visitor: &Visitor<'_>, sealed: &str) -> Result<EndSession, PageError> {
    let service = &visitor.endpoints.service;
    match service.open_errand(sealed, Some(ANY_BROWSER), visitor.now)? {
        Errand::SignOut(wish, None) => Ok(wish),
        Errand::SignOut(..) | Errand::Authorize(_) | Errand::Manage(_) => {
            Err(PageError::stale_form())
        }
    }
}

async fn go_on(visitor: &Visitor<'_>, wish: EndSession) -> Result<HttpResponse, PageError> {
    let service = &visitor.endpoints.service;
    let Some(person) = &visitor.signed_in else {
        service
            .end_hinted_session(&wish, &visitor.origin(), visitor.now)
            .await?;
        return signed_out(visitor, &wish);
    };
    if service.is_vouched_for(&wish, person).await? {
        sign_out(visitor, person, &wish).await
    } else {
        ask(visitor, person, wish)
    }
}

/// Whether the person really wants it: an address alone must not sign anybody out.
fn ask(
    visitor: &Visitor<'_>,
    person: &SignedIn,
    wish: EndSession,
) -> Result<HttpResponse, PageError> {
    let app = app(visitor, &wish);
    let return_to = wish.return_to.clone();
    let errand = Errand::SignOut(wish, Some(person.login.id));
    let stop = Stop::new(visitor, errand);
    let (sealed, cookie) = stop.sealed()?;
    let name = person.user.username.to_string();
    let shown = LogoutPage {
        csrf_field: ("request", &sealed),
        app: app.as_ref().map(AppView::app),
        person: &name,
    };
    let permissions = Permissions {
        forms_lead_to: return_to.as_deref(),
        ..Permissions::default()
    };
    let response = page(&shown, &visitor.frame(), StatusCode::OK, &permissions)?;
    match cookie {
        Some(cookie) => with_cookie(response, &cookie),
        None => Ok(response),
    }
}

/// Who signs out by the own wish is asked as well: a link must not do it.
pub(in crate::http) async fn get(
    endpoints: web::Data<Endpoints>,
    request: HttpRequest,
) -> HttpResponse {
    visit(&endpoints, &request, async |visitor| {
        go_on(&visitor, EndSession::default()).await
    })
    .await
}

pub(in crate::http) async fn post(
    endpoints: web::Data<Endpoints>,
    request: HttpRequest,
    form: Result<Form, ApiError>,
) -> HttpResponse {
    let response = posted(&endpoints, &request, async |visitor| {
        let form = form?;
        if form.value("csrf").is_some() {
            // The button on the pages of the account.
            return match signed_in_form(&visitor, &form)? {
                Some(person) => sign_out(&visitor, person, &EndSession::default()).await,
                None => redirect(&visitor.pages().path("/logout")),
            };
        }
        let stop = Stop::of_form(&visitor, form.value("request"))?;
        let Errand::SignOut(wish, asked) = &stop.errand else {
            return Err(PageError::stale_form());
        };
        match &visitor.signed_in {
            // Signed out in another tab.
            None => signed_out(&visitor, wish),
            Some(person) if *asked == Some(person.login.id) => {
                sign_out(&visitor, person, wish).await
            }
            Some(_) => Err(PageError::stale_form()),
        }
    })
    .await;
    endpoints.with_known_revocation_seq(response)
}

async fn sign_out(
    visitor: &Visitor<'_>,
    person: &SignedIn,
    wish: &EndSession,
) -> Result<HttpResponse, PageError> {
    let accounts = &visitor.endpoints.service.accounts;
    accounts
        .sign_out(person.browser(), &visitor.origin(), visitor.now)
        .await?;
    visitor.endpoints.settle_revocations().await;
    let pages = visitor.pages();
    let response = match &wish.return_to {
        Some(uri) => redirect(uri)?,
        // By an address of its own, so that reloading posts nothing again.
        None => redirect(&pages.path("/logout"))?,
    };
    with_cookie(response, &Jar::Login.forget(pages))
}

/// Nobody is signed in (any more).
fn signed_out(visitor: &Visitor<'_>, wish: &EndSession) -> Result<HttpResponse, PageError> {
    if let Some(uri) = &wish.return_to {
        return redirect(uri);
    }
    let permissions = Permissions::default();
    page(
        &SignedOutPage,
        &visitor.frame(),
        StatusCode::OK,
        &permissions,
    )
}

fn app(visitor: &Visitor<'_>, wish: &EndSession) -> Option<AppView> {
    let client = wish.client_id.as_ref()?;
    let client = visitor.endpoints.replica.clients.find_client(client)?;
    Some(AppView::of(&client, wish.return_to.as_deref()))
}
