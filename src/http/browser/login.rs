//! `/login`: a name and a password, or the account that is there already.

use std::time::Duration;

use actix_web::cookie::Cookie;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::TimeDelta;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::answer::{redirect, with_cookie, with_retry_after};
use super::cookies::Jar;
use super::errands::{Stop, Typed, path_of, posted_errand};
use super::page_error::PageError;
use super::visitor::{Visitor, visit};
use crate::accounts::AccountError;
use crate::accounts::browser::{Arrival, FreshLogin, SignedIn};
use crate::accounts::login::{Challenge, Credentials, Login, LoginStep};
use crate::domain::authorization::LoginReason;
use crate::domain::client::Client;
use crate::domain::ports::PasswordError;
use crate::grants::{AccountPlace, Errand, Progress, Visit};
use crate::http::Endpoints;
use crate::http::error::ApiError;
use crate::http::form::Form;
use crate::web::LoginProblem;

/// What a link to one of the pages carries.
#[derive(Deserialize)]
pub(super) struct Link {
    /// What somebody is here for, sealed.
    pub(super) request: Option<String>,
    /// The name of the page of the account to go to; never an address.
    to: Option<String>,
}

impl Link {
    /// What the link leads to: what it carries, or the account.
    pub(super) fn stop<'v, 'a>(
        link: Result<web::Query<Self>, actix_web::Error>,
        visitor: &'v Visitor<'a>,
    ) -> Result<Stop<'v, 'a>, PageError> {
        let unreadable = |_| PageError::bad_request("the address cannot be read");
        let link = link.map_err(unreadable)?;
        if let Some(sealed) = &link.request {
            return Stop::open(visitor, sealed);
        }
        let place = match link.to.as_deref() {
            Some("devices") => AccountPlace::Devices,
            _ => AccountPlace::Profile,
        };
        Ok(Stop::new(visitor, Errand::Manage(place)))
    }
}

pub(super) type LinkQuery = Result<web::Query<Link>, actix_web::Error>;

pub(in crate::http) async fn get(
    endpoints: web::Data<Endpoints>,
    request: HttpRequest,
    link: LinkQuery,
) -> HttpResponse {
    visit(&endpoints, &request, async |visitor| {
        let mut stop = Link::stop(link, &visitor)?;
        if let Errand::Authorize(pending) = &mut stop.errand {
            // Whoever comes here from the sign-up page has an account.
            pending.request.prompt.create = false;
        }
        stop.go_on().await
    })
    .await
}

pub(in crate::http) async fn post(
    endpoints: web::Data<Endpoints>,
    request: HttpRequest,
    form: Result<Form, ApiError>,
) -> HttpResponse {
    posted_errand(&endpoints, &request, form, async |stop, form| {
        match form.value("action") {
            Some("cancel") => cancel(stop).await,
            Some("continue") => go_on_as_who_is_here(stop).await,
            _ => log_in(stop, form).await,
        }
    })
    .await
}

/// The person does not want to sign in: the client is told so.
async fn cancel(stop: Stop<'_, '_>) -> Result<HttpResponse, PageError> {
    let Some(pending) = stop.pending() else {
        return redirect(&stop.visitor.pages().path("/login"));
    };
    let Visitor {
        endpoints,
        context,
        now,
        ..
    } = stop.visitor;
    let denied = endpoints.service.deny(&pending.request, context, *now);
    let progress = denied.await.map(Progress::Respond);
    stop.go_on_after_form(progress)
}

/// The person has chosen the account that is signed in.
async fn go_on_as_who_is_here(mut stop: Stop<'_, '_>) -> Result<HttpResponse, PageError> {
    if let Errand::Authorize(pending) = &mut stop.errand {
        pending.account_chosen = true;
    }
    let signed_in = stop.visitor.signed_in.clone();
    arrive(stop, signed_in).await
}

async fn log_in(stop: Stop<'_, '_>, form: &Form) -> Result<HttpResponse, PageError> {
    let visitor = stop.visitor;
    let client = stop.client()?;
    let accounts = &visitor.endpoints.service.accounts;
    // Keyboards of phones add a space.
    let identifier = form.value("username").map(str::trim);
    let username = identifier.unwrap_or_default();
    let password = form
        .value("password")
        .map(str::to_owned)
        .map(Zeroizing::new);
    let credentials = Credentials {
        identifier: identifier.filter(|name| !name.is_empty()),
        password: password.as_ref().map(|password| password.as_str()),
        client: client.as_deref(),
        address: visitor.context.address,
        counts_address: visitor.context.address_counts,
        device_token: None,
        browser: visitor.signed_in.as_ref().map(|person| &person.login),
    };
    let metrics = &visitor.endpoints.metrics;
    let again = |problem, status, outcome| {
        metrics.login(outcome);
        let typed = Typed {
            username: username.into(),
            problem: Some(problem),
            status: Some(status),
        };
        let signed_in = visitor.signed_in.as_ref();
        let again = signed_in.is_some_and(|person| person.user.username.to_string() == username);
        let reason = if again {
            LoginReason::TooLongAgo
        } else {
            LoginReason::NobodyIs
        };
        stop.log_in_page(reason, &typed)
    };
    let wrong = || {
        let problem = LoginProblem::WrongCredentials;
        again(problem, StatusCode::BAD_REQUEST, "wrong_password")
    };
    match accounts.log_in(&credentials, visitor.now).await {
        Ok(LoginStep::Next(Challenge::Password)) => again(
            LoginProblem::MissingCredentials,
            StatusCode::BAD_REQUEST,
            "insufficient_authorization",
        ),
        Ok(LoginStep::Next(Challenge::RightPassword)) => wrong(),
        Ok(LoginStep::Done(login)) => {
            let answer = sign_in(visitor, &login, client.as_deref()).await?;
            accounts.upgrade_hash(&login, &password).await;
            match answer {
                Some(fresh) => {
                    metrics.login("succeeded");
                    arrive_signed_in(stop, fresh).await
                }
                None => wrong(),
            }
        }
        Err(AccountError::TooManyAttempts(wait)) => {
            let problem = LoginProblem::TooManyAttempts { wait };
            let response = again(problem, StatusCode::TOO_MANY_REQUESTS, "blocked")?;
            Ok(with_retry_after(response, wait))
        }
        Err(AccountError::Password(PasswordError::Busy)) => {
            let response = again(LoginProblem::Busy, StatusCode::SERVICE_UNAVAILABLE, "busy")?;
            Ok(with_retry_after(response, TimeDelta::zero()))
        }
        Err(error) => {
            metrics.login("error");
            Err(error.into())
        }
    }
}

/// Begins the login of somebody who has proved who they are.
pub(super) async fn sign_in(
    visitor: &Visitor<'_>,
    proved: &Login,
    client: Option<&Client>,
) -> Result<Option<FreshLogin>, PageError> {
    let accounts = &visitor.endpoints.service.accounts;
    let arrival = Arrival {
        proved,
        browser: visitor.as_browser(),
        client,
    };
    Ok(accounts.sign_in(arrival, visitor.now).await?)
}

/// Goes on with the login that has just begun.
pub(super) async fn arrive_signed_in(
    stop: Stop<'_, '_>,
    fresh: FreshLogin,
) -> Result<HttpResponse, PageError> {
    let cookie = login_cookie(stop.visitor, &fresh.cookie);
    let (frame, request) = (stop.frame(), stop.visitor.request);
    let arrived = arrive(stop, Some(fresh.signed_in)).await;
    // The cookie from before is dead, so whoever cannot go on is signed in all the same.
    let response = arrived.unwrap_or_else(|error| error.into_response(&frame, request));
    with_cookie(response, &cookie)
}

/// The proof of a login, for as long as that can live.
pub(super) fn login_cookie(visitor: &Visitor<'_>, proof: &str) -> Cookie<'static> {
    let endpoints = visitor.endpoints;
    let lifetime = endpoints.service.accounts.login_policy.lifetime;
    let lifetime = lifetime.to_std().unwrap_or(Duration::ZERO);
    Jar::Login.keep(&endpoints.pages, proof, Some(lifetime))
}

/// Goes on as somebody who is signed in.
async fn arrive(
    stop: Stop<'_, '_>,
    signed_in: Option<SignedIn>,
) -> Result<HttpResponse, PageError> {
    let Visitor {
        endpoints,
        context,
        now,
        ..
    } = stop.visitor;
    match &stop.errand {
        Errand::Manage(place) => redirect(&endpoints.pages.path(path_of(*place))),
        Errand::SignOut(..) => Err(PageError::stale_form()),
        Errand::Authorize(pending) => {
            let visit = Visit {
                signed_in: signed_in.as_ref(),
                context,
                now: *now,
            };
            let progress = endpoints.service.proceed(pending, visit).await;
            stop.go_on_after_form(progress)
        }
    }
}
