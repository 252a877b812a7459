//! Going on with what somebody is here for, page after page.

use actix_web::cookie::Cookie;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use url::form_urlencoded;

use super::answer::{Permissions, page, redirect, respond, with_cookie};
use super::cookies::Jar;
use super::page_error::{PageError, authorization_failed};
use super::visitor::{Visitor, posted};
use crate::accounts::browser::SignedIn;
use crate::domain::authorization::{AuthorizationRequest, LoginReason};
use crate::domain::client::Client;
use crate::grants::{AccountPlace, AuthorizationError, Errand, PendingRequest, Progress};
use crate::http::Endpoints;
use crate::http::error::ApiError;
use crate::http::form::Form;
use crate::http::observe::Caller;
use crate::web::{
    App, ConsentPage, Frame, Language, LoginPage, LoginProblem, SignUpPage, SignUpProblems,
};

/// What a client is called on pages, and where it takes the person back to.
pub(super) struct AppView {
    name: String,
    logo_uri: Option<String>,
    /// Its path may have characters that would end a directive of a policy.
    logo_origin: Option<String>,
    host: Option<String>,
    is_first_party: bool,
}

impl AppView {
    pub(super) fn of(client: &Client, redirect_uri: Option<&str>) -> Self {
        let metadata = &client.metadata;
        let name = metadata.client_name.as_deref();
        Self {
            name: name.unwrap_or(client.id.as_str()).to_owned(),
            logo_uri: metadata.logo_uri.as_ref().map(ToString::to_string),
            logo_origin: metadata
                .logo_uri
                .as_ref()
                .map(|uri| uri.url().origin().ascii_serialization()),
            host: redirect_uri.and_then(destination),
            is_first_party: metadata.first_party,
        }
    }

    pub(super) fn app(&self) -> App<'_> {
        App {
            name: &self.name,
            logo_uri: self.logo_uri.as_deref(),
            host: self.host.as_deref(),
            is_first_party: self.is_first_party,
        }
    }
}

/// The host of a redirect URI, or the scheme where that is an app's own.
fn destination(redirect_uri: &str) -> Option<String> {
    let url = url::Url::parse(redirect_uri).ok()?;
    // Behind a scheme of an app's own anything may stand; only the scheme says whose it is.
    let is_web = matches!(url.scheme(), "https" | "http");
    let host = url.host_str().filter(|_| is_web);
    Some(host.unwrap_or(url.scheme()).to_owned())
}

/// A request on its way, for the page that is to be shown.
pub(super) struct Stop<'v, 'a> {
    pub(super) visitor: &'v Visitor<'a>,
    pub(super) errand: Errand,
}

impl<'v, 'a> Stop<'v, 'a> {
    pub(super) const fn new(visitor: &'v Visitor<'a>, errand: Errand) -> Self {
        Self { visitor, errand }
    }

    /// What a link or a form has brought back.
    pub(super) fn open(visitor: &'v Visitor<'a>, sealed: &str) -> Result<Self, PageError> {
        let service = &visitor.endpoints.service;
        let browser = visitor.browser.as_deref();
        let errand = service.open_errand(sealed, browser, visitor.now)?;
        if let Errand::Authorize(pending) = &errand {
            Caller::note(visitor.request, &pending.request.client_id);
        }
        Ok(Self { visitor, errand })
    }

    /// The same for a form: a browser without its cookie keeps none.
    pub(super) fn of_form(
        visitor: &'v Visitor<'a>,
        sealed: Option<&str>,
    ) -> Result<Self, PageError> {
        let sealed = sealed.ok_or_else(PageError::stale_form)?;
        if visitor.browser.is_none() {
            return Err(PageError::no_cookies());
        }
        Self::open(visitor, sealed)
    }

    pub(super) fn pending(&self) -> Option<&PendingRequest> {
        match &self.errand {
            Errand::Authorize(pending) => Some(pending),
            Errand::Manage(_) | Errand::SignOut(..) => None,
        }
    }

    fn request(&self) -> Option<&AuthorizationRequest> {
        self.pending().map(|pending| &pending.request)
    }

    /// The client that waits for an answer.
    pub(super) fn client(&self) -> Result<Option<std::sync::Arc<Client>>, PageError> {
        let Some(request) = self.request() else {
            return Ok(None);
        };
        match self.visitor.endpoints.service.client_of(request) {
            Ok(client) => Ok(Some(client)),
            Err(AuthorizationError::Shown(error) | AuthorizationError::Redirected(_, error)) => {
                Err(PageError::shown(&error))
            }
            Err(AuthorizationError::Failed(error)) => Err(error.into()),
        }
    }

    pub(super) fn app(&self) -> Result<Option<AppView>, PageError> {
        let client = self.client()?;
        let redirect_uri = self.request().map(|request| request.redirect_uri.as_str());
        Ok(client.map(|client| AppView::of(&client, redirect_uri)))
    }

    /// In the language that the client has asked for, or the browser.
    pub(super) fn frame(&self) -> Frame<'a> {
        let frame = self.visitor.frame();
        let accepted = Some(frame.language.tag());
        let language = self.request().map_or(frame.language, |request| {
            Language::choose(&request.ui_locales, accepted)
        });
        Frame { language, ..frame }
    }

    /// Seals the errand for a page, and names the browser unless it has a name.
    pub(super) fn sealed(&self) -> Result<(String, Option<Cookie<'static>>), PageError> {
        let Visitor { endpoints, now, .. } = self.visitor;
        let service = &endpoints.service;
        let tokens = &service.accounts.tokens;
        let fresh = match &self.visitor.browser {
            Some(_) => None,
            None => Some(
                tokens
                    .new_browser_name()
                    .map_err(|error| PageError::internal(error.to_string()))?,
            ),
        };
        let name = fresh
            .as_ref()
            .or(self.visitor.browser.as_ref())
            .ok_or_else(PageError::no_cookies)?;
        let sealed = service.seal_errand(&self.errand, name, *now)?;
        let cookie = fresh.map(|name| Jar::Browser.keep(&endpoints.pages, &name, None));
        Ok((sealed, cookie))
    }

    fn permissions<'p>(&'p self, app: Option<&'p AppView>) -> Permissions<'p> {
        Permissions {
            forms_lead_to: self.request().map(|request| request.redirect_uri.as_str()),
            image: app.and_then(|app| app.logo_origin.as_deref()),
            script: false,
        }
    }

    /// Shows the page that the way has come to, or ends it.
    pub(super) async fn go_on(mut self) -> Result<HttpResponse, PageError> {
        let progress = match &self.errand {
            Errand::Authorize(pending) => {
                let service = &self.visitor.endpoints.service;
                service.proceed(pending, self.visitor.visit()).await
            }
            Errand::Manage(place) => {
                return match self.visitor.signed_in {
                    Some(_) => redirect(&self.visitor.pages().path(path_of(*place))),
                    None => self.log_in_page(LoginReason::NobodyIs, &Typed::default()),
                };
            }
            Errand::SignOut(..) => return Err(PageError::stale_form()),
        };
        let frame = self.frame();
        match progress {
            Ok(Progress::LogIn(LoginReason::MakeAccount))
                if self.visitor.endpoints.service.signup =>
            {
                self.sign_up_page(&TypedAccount::default(), SignUpProblems::default())
            }
            Ok(Progress::LogIn(reason)) => self.log_in_page(reason, &self.hinted()),
            Ok(Progress::ChooseAccount) => self.choose_page(),
            Ok(Progress::Consent) => self.consent_page(),
            Ok(Progress::Respond(answer)) => respond(&answer, &frame),
            Err(error) => authorization_failed(error, self.visitor.endpoints, &frame),
        }
    }

    /// Goes on after a form: to the client, or to the page that comes next, by an address of its own,
    /// so that going back or reloading posts nothing again.
    pub(super) fn go_on_after_form(
        self,
        progress: Result<Progress, AuthorizationError>,
    ) -> Result<HttpResponse, PageError> {
        let frame = self.frame();
        match progress {
            Ok(Progress::Respond(answer)) => respond(&answer, &frame),
            Ok(Progress::Consent) => self.redirect_to("/consent"),
            Ok(Progress::LogIn(_) | Progress::ChooseAccount) => self.redirect_to("/login"),
            Err(error) => authorization_failed(error, self.visitor.endpoints, &frame),
        }
    }

    /// To a page, with the errand.
    pub(super) fn redirect_to(&self, path: &str) -> Result<HttpResponse, PageError> {
        let (sealed, cookie) = self.sealed()?;
        let sealed: String = form_urlencoded::byte_serialize(sealed.as_bytes()).collect();
        let to = format!("{}?request={sealed}", self.visitor.pages().path(path));
        let response = redirect(&to)?;
        match cookie {
            Some(cookie) => with_cookie(response, &cookie),
            None => Ok(response),
        }
    }

    fn hinted(&self) -> Typed<'static> {
        let hint = self
            .request()
            .and_then(|request| request.login_hint.clone());
        Typed {
            username: hint.unwrap_or_default().into(),
            ..Typed::default()
        }
    }

    /// The page that asks for a name and a password.
    pub(super) fn log_in_page(
        &self,
        reason: LoginReason,
        typed: &Typed<'_>,
    ) -> Result<HttpResponse, PageError> {
        let signed_in = self.visitor.signed_in.as_ref();
        // The hint may speak of somebody else.
        let is_meant = |person: &&SignedIn| {
            let name = person.user.username.to_string();
            typed.username.is_empty() || typed.username == name
        };
        let again = signed_in
            .filter(|_| reason == LoginReason::TooLongAgo)
            .filter(is_meant);
        let username = match again {
            Some(person) if typed.username.is_empty() => person.user.username.to_string(),
            _ => typed.username.to_string(),
        };
        let other = (reason == LoginReason::SomebodyElseIs).then_some(LoginProblem::OtherAccount);
        let typed = Typed {
            username: typed.username.clone(),
            problem: typed.problem.or(other),
            status: typed.status,
        };
        self.show_log_in(&username, again.is_some(), None, &typed)
    }

    fn choose_page(&self) -> Result<HttpResponse, PageError> {
        let signed_in = self.visitor.signed_in.as_ref();
        let name = signed_in.map(|person| person.user.username.to_string());
        self.show_log_in("", false, name.as_deref(), &Typed::default())
    }

    fn show_log_in(
        &self,
        username: &str,
        confirm_it_is_you: bool,
        continue_as: Option<&str>,
        typed: &Typed<'_>,
    ) -> Result<HttpResponse, PageError> {
        let app = self.app()?;
        let (sealed, cookie) = self.sealed()?;
        let shown = LoginPage {
            request: &sealed,
            app: app.as_ref().map(AppView::app),
            username,
            continue_as,
            confirm_it_is_you,
            problem: typed.problem,
            can_sign_up: self.visitor.endpoints.service.signup,
            can_cancel: app.is_some(),
        };
        let status = typed.status.unwrap_or(StatusCode::OK);
        let permissions = self.permissions(app.as_ref());
        let response = page(&shown, &self.frame(), status, &permissions)?;
        named(response, cookie)
    }

    /// The page that makes an account.
    pub(super) fn sign_up_page(
        &self,
        typed: &TypedAccount<'_>,
        problems: SignUpProblems<'_>,
    ) -> Result<HttpResponse, PageError> {
        let app = self.app()?;
        let (sealed, cookie) = self.sealed()?;
        let shown = SignUpPage {
            request: &sealed,
            app: app.as_ref().map(AppView::app),
            username: typed.username,
            email: typed.email,
            problems,
        };
        let status = typed.status.unwrap_or(StatusCode::OK);
        let permissions = self.permissions(app.as_ref());
        let response = page(&shown, &self.frame(), status, &permissions)?;
        named(response, cookie)
    }

    /// The page that asks whether the client may.
    fn consent_page(&mut self) -> Result<HttpResponse, PageError> {
        let visitor = self.visitor;
        let (Some(person), Errand::Authorize(pending)) = (&visitor.signed_in, &mut self.errand)
        else {
            return Err(PageError::stale_form());
        };
        pending.asked = Some(person.login.id);
        let scope = pending.request.asks_for();
        let audience = pending.request.audience.clone();
        let Some(app) = self.app()? else {
            return Err(PageError::stale_form());
        };
        let (sealed, cookie) = self.sealed()?;
        let scopes: Vec<&str> = scope.iter().collect();
        let issuer = visitor.endpoints.issuer().as_str();
        let apis = audience.iter().filter(|api| *api != issuer);
        let apis: Vec<&str> = apis.collect();
        let name = person.user.username.to_string();
        let shown = ConsentPage {
            request: &sealed,
            app: app.app(),
            person: &name,
            scopes: &scopes,
            apis: &apis,
        };
        let permissions = self.permissions(Some(&app));
        let response = page(&shown, &self.frame(), StatusCode::OK, &permissions)?;
        named(response, cookie)
    }
}

/// Serves a form that carries what somebody is here for.
pub(super) async fn posted_errand(
    endpoints: &web::Data<Endpoints>,
    request: &HttpRequest,
    form: Result<Form, ApiError>,
    work: impl AsyncFnOnce(Stop<'_, '_>, &Form) -> Result<HttpResponse, PageError>,
) -> HttpResponse {
    posted(endpoints, request, async |visitor| {
        let form = form?;
        let stop = Stop::of_form(&visitor, form.value("request"))?;
        work(stop, &form).await
    })
    .await
}

/// What somebody has typed into the login page, and what came of it.
#[derive(Default)]
pub(super) struct Typed<'t> {
    pub(super) username: std::borrow::Cow<'t, str>,
    pub(super) problem: Option<LoginProblem>,
    pub(super) status: Option<StatusCode>,
}

/// What somebody has typed into the sign-up page.
#[derive(Default)]
pub(super) struct TypedAccount<'t> {
    pub(super) username: &'t str,
    pub(super) email: &'t str,
    pub(super) status: Option<StatusCode>,
}

/// The address of a page of the account.
pub(super) const fn path_of(place: AccountPlace) -> &'static str {
    match place {
        AccountPlace::Profile => "/account",
        AccountPlace::Devices => "/account/devices",
    }
}

fn named(
    response: HttpResponse,
    cookie: Option<Cookie<'static>>,
) -> Result<HttpResponse, PageError> {
    match cookie {
        Some(cookie) => with_cookie(response, &cookie),
        None => Ok(response),
    }
}
