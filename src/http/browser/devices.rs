//! `/account/devices`: where the person is signed in, with a button to end each.

use std::collections::HashMap;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::account::{Done, DoneQuery, PersonForm, posted_by_person, shown_name};
use super::answer::{Permissions, page, redirect, with_cookie};
use super::cookies::Jar;
use super::login::login_cookie;
use super::page_error::PageError;
use super::visitor::{Visitor, visit};
use crate::accounts::browser::SignedIn;
use crate::accounts::devices::{EndOnPage, SignedInDevice};
use crate::domain::device::DeviceLabel;
use crate::domain::id::{ClientId, LoginId, SessionId};
use crate::domain::ports::ClientDirectory;
use crate::domain::session::Session;
use crate::http::Endpoints;
use crate::http::error::ApiError;
use crate::http::form::Form;
use crate::web::{DeviceApp, DeviceView, DevicesPage, Notice};

pub(in crate::http) async fn get(
    endpoints: web::Data<Endpoints>,
    request: HttpRequest,
    done: DoneQuery,
) -> HttpResponse {
    visit(&endpoints, &request, async |visitor| {
        let Some(person) = &visitor.signed_in else {
            return redirect(&visitor.pages().path(DEVICES));
        };
        show(&visitor, person, Done::notice(done)).await
    })
    .await
}

pub(in crate::http) async fn post(
    endpoints: web::Data<Endpoints>,
    request: HttpRequest,
    form: Result<Form, ApiError>,
) -> HttpResponse {
    let response = posted_by_person(&endpoints, &request, form, DEVICES, end_some).await;
    endpoints.with_known_revocation_seq(response)
}

/// Where whoever has to sign in first goes on afterwards.
const DEVICES: &str = "/login?to=devices";

async fn end_some(posted: PersonForm<'_>) -> Result<HttpResponse, PageError> {
    let PersonForm {
        visitor,
        person,
        form,
    } = posted;
    match form.value("end") {
        Some("others") => end_others(visitor, person).await,
        Some(id) => {
            let id: SessionId = id.parse().map_err(|_| PageError::stale_form())?;
            end(visitor, person, id.0).await
        }
        None => Err(PageError::stale_form()),
    }
}

/// Ends one device, or one app on it.
async fn end(
    visitor: &Visitor<'_>,
    person: &SignedIn,
    id: [u8; 16],
) -> Result<HttpResponse, PageError> {
    let accounts = &visitor.endpoints.service.accounts;
    let which = EndOnPage::One(id);
    let ended = accounts
        .end_on_page(person.browser(), which, &visitor.origin(), visitor.now)
        .await?;
    visitor.endpoints.settle_revocations().await;
    let pages = visitor.pages();
    if id == person.login.id.0 {
        // This very browser.
        let response = redirect(&pages.path("/logout"))?;
        return with_cookie(response, &Jar::Login.forget(pages));
    }
    let done = if ended { "?done=device" } else { "" };
    redirect(&pages.path(&format!("/account/devices{done}")))
}

/// Signs the person out everywhere else, and whoever has a copy of this browser's cookie.
async fn end_others(visitor: &Visitor<'_>, person: &SignedIn) -> Result<HttpResponse, PageError> {
    let accounts = &visitor.endpoints.service.accounts;
    let (staying, proof) = accounts.stay_in(person.browser())?;
    let which = EndOnPage::Others(staying);
    accounts
        .end_on_page(person.browser(), which, &visitor.origin(), visitor.now)
        .await?;
    visitor.endpoints.settle_revocations().await;
    let response = redirect(&visitor.pages().path("/account/devices?done=others"))?;
    with_cookie(response, &login_cookie(visitor, &proof))
}

async fn show(
    visitor: &Visitor<'_>,
    person: &SignedIn,
    notice: Option<Notice>,
) -> Result<HttpResponse, PageError> {
    let accounts = &visitor.endpoints.service.accounts;
    let devices = accounts.devices(person.user.id, visitor.now).await?;
    let names = Names::of(visitor, &devices);
    let csrf = accounts.tokens.form_token(person.login.id);
    let views = devices
        .iter()
        .map(|device| view(device, person.login.id, &names));
    let mut views: Vec<_> = views.collect();
    // This one first; the others are told from it.
    views.sort_by_key(|view| !view.is_current);
    let shown = DevicesPage {
        csrf: &csrf,
        devices: views,
        notice,
        now: visitor.now,
    };
    let permissions = Permissions::OF_ACCOUNT;
    page(&shown, &visitor.frame(), StatusCode::OK, &permissions)
}

fn view<'d>(device: &'d SignedInDevice, here: LoginId, names: &'d Names) -> DeviceView<'d> {
    let (id, is_current, sessions) = match device {
        SignedInDevice::Browser(login, sessions) => {
            (login.id.to_string(), login.id == here, sessions.as_slice())
        }
        SignedInDevice::App(session) => (
            session.terms.id.to_string(),
            false,
            std::slice::from_ref(session),
        ),
    };
    let apps = sessions.iter().map(|session| DeviceApp {
        sid: session.terms.id.to_string(),
        name: names.of_session(session),
        last_seen_at: session.last_seen_at(),
        works_offline: session.terms.outlives_login(),
    });
    DeviceView {
        id,
        label: device.label().map(DeviceLabel::as_str),
        address: device.address().map(|address| address.to_string()),
        created_at: device.created_at(),
        last_seen_at: device.last_seen_at(),
        is_current,
        apps: apps.collect(),
    }
}

/// What the clients of the devices are called.
struct Names(HashMap<ClientId, String>);

impl Names {
    fn of(visitor: &Visitor<'_>, devices: &[SignedInDevice]) -> Self {
        let clients = &visitor.endpoints.replica.clients;
        let sessions = devices.iter().flat_map(|device| match device {
            SignedInDevice::Browser(_, sessions) => sessions.as_slice(),
            SignedInDevice::App(session) => std::slice::from_ref(session),
        });
        let named = sessions.filter_map(|session| {
            let id = &session.terms.client_id;
            let client = clients.find_client(id)?;
            Some((id.clone(), shown_name(&client).to_owned()))
        });
        Self(named.collect())
    }

    fn of_session<'n>(&'n self, session: &'n Session) -> &'n str {
        let id = &session.terms.client_id;
        self.0.get(id).map_or(id.as_str(), String::as_str)
    }
}
