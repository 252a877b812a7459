//! `/account`: the profile, the password, and what apps may do.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::TimeDelta;
use serde::Deserialize;

use super::answer::{Permissions, page, redirect, with_cookie, with_retry_after};
use super::login::login_cookie;
use super::page_error::PageError;
use super::visitor::{Visitor, posted, visit};
use crate::accounts::AccountError;
use crate::accounts::browser::SignedIn;
use crate::accounts::password::{PasswordChange, PersonOn};
use crate::domain::client::Client;
use crate::domain::consent::Consent;
use crate::domain::id::ClientId;
use crate::domain::ports::{ClientDirectory, PasswordError};
use crate::domain::user::{InvalidProfile, Profile};
use crate::http::Endpoints;
use crate::http::error::ApiError;
use crate::http::form::Form;
use crate::web::{
    AccountPage, ConnectedApp, Notice, PasswordChangeProblem, ProfileField, ProfileProblem,
    ProfileView,
};

/// What has just been done; in the address, so that reloading does nothing again.
#[derive(Deserialize)]
pub(super) struct Done {
    done: Option<DoneWhat>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum DoneWhat {
    Profile,
    Password,
    Consent,
    Device,
    Others,
}

impl Done {
    /// What the page says about it. An address that cannot be read says nothing.
    pub(super) fn notice(query: Result<web::Query<Self>, actix_web::Error>) -> Option<Notice> {
        Some(match query.ok()?.done? {
            DoneWhat::Profile => Notice::ProfileSaved,
            DoneWhat::Password => Notice::PasswordChanged,
            DoneWhat::Consent => Notice::ConsentRevoked,
            DoneWhat::Device => Notice::SessionEnded,
            DoneWhat::Others => Notice::OthersEnded,
        })
    }
}

pub(super) type DoneQuery = Result<web::Query<Done>, actix_web::Error>;

pub(in crate::http) async fn get(
    endpoints: web::Data<Endpoints>,
    request: HttpRequest,
    done: DoneQuery,
) -> HttpResponse {
    visit(&endpoints, &request, async |visitor| {
        let Some(person) = &visitor.signed_in else {
            return redirect(&visitor.pages().path(ACCOUNT));
        };
        let said = Said {
            notice: Done::notice(done),
            ..Said::default()
        };
        show(&visitor, person, said).await
    })
    .await
}

pub(in crate::http) async fn to_account(
    endpoints: web::Data<Endpoints>,
    request: HttpRequest,
) -> HttpResponse {
    visit(&endpoints, &request, async |visitor| {
        redirect(&visitor.pages().path("/account"))
    })
    .await
}

pub(in crate::http) async fn profile(
    endpoints: web::Data<Endpoints>,
    request: HttpRequest,
    form: Result<Form, ApiError>,
) -> HttpResponse {
    posted_by_person(&endpoints, &request, form, ACCOUNT, change_profile).await
}

pub(in crate::http) async fn password(
    endpoints: web::Data<Endpoints>,
    request: HttpRequest,
    form: Result<Form, ApiError>,
) -> HttpResponse {
    let response = posted_by_person(&endpoints, &request, form, ACCOUNT, change_password).await;
    endpoints.with_known_revocation_seq(response)
}

pub(in crate::http) async fn consents(
    endpoints: web::Data<Endpoints>,
    request: HttpRequest,
    form: Result<Form, ApiError>,
) -> HttpResponse {
    let response = posted_by_person(&endpoints, &request, form, ACCOUNT, withdraw_consent).await;
    endpoints.with_known_revocation_seq(response)
}

/// Where whoever has to sign in first goes on afterwards.
const ACCOUNT: &str = "/login?to=account";

async fn change_profile(posted: PersonForm<'_>) -> Result<HttpResponse, PageError> {
    let PersonForm {
        visitor,
        person,
        form,
    } = posted;
    let given = |name| {
        // Browsers send line breaks as two characters.
        let text = form.value(name)?.replace("\r\n", "\n");
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    let wanted = Profile {
        name: given("name"),
        phone: given("phone"),
        address: given("address"),
        email_verified: false,
    };
    let accounts = &visitor.endpoints.service.accounts;
    let changed = accounts
        .change_profile(&person.user, wanted.clone(), &visitor.origin(), visitor.now)
        .await;
    let problem = match changed {
        Ok(_) => return redirect(&visitor.pages().path("/account?done=profile")),
        Err(AccountError::InvalidProfile(InvalidProfile(field))) => match field {
            "phone" => ProfileField::Phone,
            "address" => ProfileField::Address,
            _ => ProfileField::Name,
        },
        Err(error) => return Err(error.into()),
    };
    let said = Said {
        profile: Some(wanted),
        profile_problem: Some(ProfileProblem::Invalid(problem)),
        status: Some(StatusCode::BAD_REQUEST),
        ..Said::default()
    };
    show(visitor, person, said).await
}

async fn change_password(posted: PersonForm<'_>) -> Result<HttpResponse, PageError> {
    let PersonForm {
        visitor,
        person,
        form,
    } = posted;
    let Some(current) = form.value("current_password") else {
        let missing = PasswordChangeProblem::MissingCurrent;
        let said = Said::refused(StatusCode::BAD_REQUEST, missing);
        return show(visitor, person, said).await;
    };
    let change = PasswordChange {
        current,
        new: form.value("new_password").unwrap_or_default(),
    };
    let accounts = &visitor.endpoints.service.accounts;
    let (staying, proof) = accounts.stay_in(person.browser())?;
    let on = PersonOn {
        user: person.user.id,
        staying,
    };
    let changed = accounts
        .change_password(on, change, visitor.context.address, visitor.now)
        .await;
    match changed {
        Ok(()) => {
            visitor.endpoints.settle_revocations().await;
            let response = redirect(&visitor.pages().path("/account?done=password"))?;
            with_cookie(response, &login_cookie(visitor, &proof))
        }
        Err(error) => password_refused(visitor, person, error).await,
    }
}

async fn password_refused(
    visitor: &Visitor<'_>,
    person: &SignedIn,
    error: AccountError,
) -> Result<HttpResponse, PageError> {
    use PasswordChangeProblem as Problem;
    let (status, problem, wait) = match &error {
        AccountError::WrongPassword => (StatusCode::BAD_REQUEST, Problem::WrongCurrent, None),
        AccountError::UnacceptablePassword(why) => {
            (StatusCode::BAD_REQUEST, Problem::Unacceptable(why), None)
        }
        AccountError::TooManyAttempts(wait) => {
            let problem = Problem::TooManyAttempts { wait: *wait };
            (StatusCode::TOO_MANY_REQUESTS, problem, Some(*wait))
        }
        AccountError::Password(PasswordError::Busy) => {
            let wait = Some(TimeDelta::zero());
            (StatusCode::SERVICE_UNAVAILABLE, Problem::Busy, wait)
        }
        // Nothing that a form can say.
        _ => return Err(error.into()),
    };
    let response = show(visitor, person, Said::refused(status, problem)).await?;
    Ok(match wait {
        Some(wait) => with_retry_after(response, wait),
        None => response,
    })
}

async fn withdraw_consent(posted: PersonForm<'_>) -> Result<HttpResponse, PageError> {
    let PersonForm {
        visitor,
        person,
        form,
    } = posted;
    let client: ClientId = form
        .value("client_id")
        .and_then(|id| id.parse().ok())
        .ok_or_else(PageError::stale_form)?;
    let accounts = &visitor.endpoints.service.accounts;
    let withdrawn = accounts
        .withdraw_consent(person.user.id, &client, &visitor.origin(), visitor.now)
        .await?;
    visitor.endpoints.settle_revocations().await;
    let done = if withdrawn { "?done=consent" } else { "" };
    redirect(&visitor.pages().path(&format!("/account{done}")))
}

/// A form of the account that is known to be of the very login in this browser.
pub(super) struct PersonForm<'v> {
    pub(super) visitor: &'v Visitor<'v>,
    pub(super) person: &'v SignedIn,
    pub(super) form: &'v Form,
}

/// Serves a form of the account; whoever is not signed in any more goes to `log_in` first.
pub(super) async fn posted_by_person(
    endpoints: &web::Data<Endpoints>,
    request: &HttpRequest,
    form: Result<Form, ApiError>,
    log_in: &str,
    work: impl AsyncFnOnce(PersonForm<'_>) -> Result<HttpResponse, PageError>,
) -> HttpResponse {
    posted(endpoints, request, async |visitor| {
        let form = form?;
        let Some(person) = signed_in_form(&visitor, &form)? else {
            return redirect(&visitor.pages().path(log_in));
        };
        let posted = PersonForm {
            visitor: &visitor,
            person,
            form: &form,
        };
        work(posted).await
    })
    .await
}

/// Who posts a form of the account, and proves that it is a form of this very login. None when
/// nobody is signed in any more.
pub(super) fn signed_in_form<'v>(
    visitor: &'v Visitor<'_>,
    form: &Form,
) -> Result<Option<&'v SignedIn>, PageError> {
    let Some(person) = &visitor.signed_in else {
        return Ok(None);
    };
    let tokens = &visitor.endpoints.service.accounts.tokens;
    let presented = form.value("csrf").unwrap_or_default();
    if tokens.form_token_is_good(person.login.id, presented) {
        Ok(Some(person))
    } else {
        Err(PageError::stale_form())
    }
}

/// What the page has to say besides what is known.
#[derive(Default)]
struct Said<'s> {
    notice: Option<Notice>,
    /// As typed, where that could not be stored.
    profile: Option<Profile>,
    profile_problem: Option<ProfileProblem>,
    password_problem: Option<PasswordChangeProblem<'s>>,
    status: Option<StatusCode>,
}

impl<'s> Said<'s> {
    /// A password that was not changed.
    fn refused(status: StatusCode, problem: PasswordChangeProblem<'s>) -> Self {
        Self {
            password_problem: Some(problem),
            status: Some(status),
            ..Self::default()
        }
    }
}

async fn show(
    visitor: &Visitor<'_>,
    person: &SignedIn,
    said: Said<'_>,
) -> Result<HttpResponse, PageError> {
    let accounts = &visitor.endpoints.service.accounts;
    let user = &person.user;
    let consents = accounts.consents(user.id, visitor.now).await?;
    let clients = clients_of(visitor, &consents);
    let username = user.username.to_string();
    let email = user.email.as_ref().map(ToString::to_string);
    let profile = said.profile.as_ref().unwrap_or(&user.profile);
    let csrf = accounts.tokens.form_token(person.login.id);
    let shown = AccountPage {
        csrf: &csrf,
        profile: ProfileView {
            username: &username,
            email: email.as_deref(),
            email_verified: user.profile.email_verified,
            name: profile.name.as_deref().unwrap_or_default(),
            phone: profile.phone.as_deref().unwrap_or_default(),
            address: profile.address.as_deref().unwrap_or_default(),
        },
        notice: said.notice,
        profile_problem: said.profile_problem,
        password_problem: said.password_problem,
        apps: connected(&clients),
    };
    let status = said.status.unwrap_or(StatusCode::OK);
    page(&shown, &visitor.frame(), status, &Permissions::OF_ACCOUNT)
}

/// The agreements with clients that are still there.
fn clients_of<'c>(
    visitor: &Visitor<'_>,
    consents: &'c [Consent],
) -> Vec<(&'c Consent, Arc<Client>)> {
    let clients = &visitor.endpoints.replica.clients;
    let mut seen = BTreeSet::new();
    consents
        .iter()
        .filter(|consent| seen.insert(&consent.client_id))
        .filter_map(|consent| Some((consent, clients.find_client(&consent.client_id)?)))
        .filter(|(consent, client)| client.was_there(consent.granted_at))
        .collect()
}

fn connected<'c>(clients: &'c [(&Consent, Arc<Client>)]) -> Vec<ConnectedApp<'c>> {
    let apps = clients.iter().map(|(consent, client)| ConnectedApp {
        client_id: client.id.as_str(),
        name: shown_name(client),
        scopes: consent.scope.iter().collect(),
        granted_at: consent.granted_at,
    });
    apps.collect()
}

/// What people call a client.
pub(super) fn shown_name(client: &Client) -> &str {
    let name = client.metadata.client_name.as_deref();
    name.unwrap_or(client.id.as_str())
}
