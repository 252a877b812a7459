//! `/consent`: the person says whether a client may.

use actix_web::{HttpRequest, HttpResponse, web};

use super::errands::{Stop, posted_errand};
use super::login::{Link, LinkQuery};
use super::page_error::PageError;
use super::visitor::visit;
use crate::grants::{Decision, Errand};
use crate::http::Endpoints;
use crate::http::error::ApiError;
use crate::http::form::Form;

pub(in crate::http) async fn get(
    endpoints: web::Data<Endpoints>,
    request: HttpRequest,
    link: LinkQuery,
) -> HttpResponse {
    visit(&endpoints, &request, async |visitor| {
        Link::stop(link, &visitor)?.go_on().await
    })
    .await
}

pub(in crate::http) async fn post(
    endpoints: web::Data<Endpoints>,
    request: HttpRequest,
    form: Result<Form, ApiError>,
) -> HttpResponse {
    posted_errand(&endpoints, &request, form, async |stop, form| {
        match form.value("decision") {
            Some("allow") => decide(stop, Decision::Allow).await,
            Some("deny") => decide(stop, Decision::Deny).await,
            Some("switch") => switch(stop),
            _ => Err(PageError::stale_form()),
        }
    })
    .await
}

async fn decide(stop: Stop<'_, '_>, decision: Decision) -> Result<HttpResponse, PageError> {
    let visitor = stop.visitor;
    let pending = stop.pending().ok_or_else(PageError::stale_form)?;
    let service = &visitor.endpoints.service;
    let progress = service.decide(pending, decision, visitor.visit()).await;
    stop.go_on_after_form(progress)
}

/// Somebody else wants to go on: as if the client had asked to choose the account, from now on.
fn switch(mut stop: Stop<'_, '_>) -> Result<HttpResponse, PageError> {
    let now = stop.visitor.now;
    let Errand::Authorize(pending) = &mut stop.errand else {
        return Err(PageError::stale_form());
    };
    pending.request.prompt.select_account = true;
    pending.request.started_at = now;
    pending.account_chosen = false;
    pending.asked = None;
    stop.redirect_to("/login")
}
