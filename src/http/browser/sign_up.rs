//! `/signup`: a person makes an account.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::TimeDelta;

use super::answer::with_retry_after;
use super::errands::{Stop, TypedAccount, posted_errand};
use super::login::{Link, LinkQuery, arrive_signed_in, sign_in};
use super::page_error::PageError;
use super::visitor::visit;
use crate::accounts::AccountError;
use crate::accounts::login::Login;
use crate::accounts::registration::Registration;
use crate::domain::identifier::{EmailAddress, Username};
use crate::domain::ports::PasswordError;
use crate::domain::user::Profile;
use crate::http::Endpoints;
use crate::http::error::ApiError;
use crate::http::form::Form;
use crate::web::{
    EmailProblem, NewPasswordProblem, SignUpProblem, SignUpProblems, UsernameProblem,
};

pub(in crate::http) async fn get(
    endpoints: web::Data<Endpoints>,
    request: HttpRequest,
    link: LinkQuery,
) -> HttpResponse {
    visit(&endpoints, &request, async |visitor| {
        let stop = Link::stop(link, &visitor)?;
        if !visitor.endpoints.service.signup {
            return Err(PageError::sign_up_closed());
        }
        stop.sign_up_page(&TypedAccount::default(), SignUpProblems::default())
    })
    .await
}

pub(in crate::http) async fn post(
    endpoints: web::Data<Endpoints>,
    request: HttpRequest,
    form: Result<Form, ApiError>,
) -> HttpResponse {
    posted_errand(&endpoints, &request, form, async |stop, form| {
        if !stop.visitor.endpoints.service.signup {
            return Err(PageError::sign_up_closed());
        }
        sign_up(stop, form).await
    })
    .await
}

async fn sign_up(stop: Stop<'_, '_>, form: &Form) -> Result<HttpResponse, PageError> {
    let visitor = stop.visitor;
    let typed = |status| TypedAccount {
        username: form.value("username").unwrap_or_default(),
        email: form.value("email").unwrap_or_default(),
        status: Some(status),
    };
    let (registration, password) = match read(form) {
        Ok(read) => read,
        Err(problems) => return stop.sign_up_page(&typed(StatusCode::BAD_REQUEST), problems),
    };
    let accounts = &visitor.endpoints.service.accounts;
    let origin = visitor.origin();
    let made = async {
        let counted = visitor.context.address;
        if let Some(address) = counted.filter(|_| visitor.context.address_counts) {
            accounts.charge_sign_up(address, visitor.now).await?;
        }
        accounts
            .sign_up(registration, password, &origin, visitor.now)
            .await
    };
    let user = match made.await {
        Ok(user) => user,
        Err(error) => {
            let (status, problems) = match &error {
                AccountError::NameTaken => {
                    (StatusCode::CONFLICT, in_general(SignUpProblem::NameTaken))
                }
                AccountError::UnacceptablePassword(why) => {
                    let password = Some(NewPasswordProblem::Unacceptable(why));
                    let problems = SignUpProblems {
                        password,
                        ..SignUpProblems::default()
                    };
                    (StatusCode::BAD_REQUEST, problems)
                }
                AccountError::TooManyAttempts(wait) => {
                    let problem = SignUpProblem::TooManySignUps { wait: *wait };
                    (StatusCode::TOO_MANY_REQUESTS, in_general(problem))
                }
                AccountError::Password(PasswordError::Busy) => {
                    let problem = in_general(SignUpProblem::Busy);
                    (StatusCode::SERVICE_UNAVAILABLE, problem)
                }
                // Nothing that a form can say.
                _ => return Err(error.into()),
            };
            let response = stop.sign_up_page(&typed(status), problems)?;
            return Ok(match &error {
                AccountError::TooManyAttempts(wait) => with_retry_after(response, *wait),
                AccountError::Password(_) => with_retry_after(response, TimeDelta::zero()),
                _ => response,
            });
        }
    };
    let client = stop.client()?;
    let login = Login::after_sign_up(user, visitor.now);
    match sign_in(visitor, &login, client.as_deref()).await? {
        Some(fresh) => arrive_signed_in(stop, fresh).await,
        // Disabled within a blink; the login page will say what there is to say.
        None => stop.redirect_to("/login"),
    }
}

/// What was typed, or what is wrong with each field of it.
fn read(form: &Form) -> Result<(Registration, &str), SignUpProblems<'_>> {
    let username = form.value("username").map(str::trim);
    let username = match username.filter(|text| !text.is_empty()) {
        None => Err(UsernameProblem::Missing),
        Some(text) => text
            .parse::<Username>()
            .map_err(|_| UsernameProblem::Malformed),
    };
    let email = form
        .value("email")
        .map(str::trim)
        .filter(|text| !text.is_empty());
    let email = email.map(str::parse::<EmailAddress>).transpose();
    let password = form.value("password").ok_or(NewPasswordProblem::Missing);
    match (username, email, password) {
        (Ok(username), Ok(email), Ok(password)) => {
            let registration = Registration {
                username,
                email,
                profile: Profile::default(),
            };
            Ok((registration, password))
        }
        (username, email, password) => Err(SignUpProblems {
            username: username.err(),
            email: email.err().map(|_| EmailProblem::Malformed),
            password: password.err(),
            general: None,
        }),
    }
}

fn in_general(problem: SignUpProblem) -> SignUpProblems<'static> {
    SignUpProblems {
        general: Some(problem),
        ..SignUpProblems::default()
    }
}
