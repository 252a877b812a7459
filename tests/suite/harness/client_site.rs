//! The web site of an app (the relying party): where browsers come back to, and where logout tokens
//! are sent.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, ContentType};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};

use super::authorize::Callback;
use super::wait;

/// A server on a port of its own, ended with the test.
pub(crate) struct ClientSite {
    /// `http://127.0.0.1:PORT`. To a browser that is the same site as the service on another
    /// port: cookies know no ports, and neither does `SameSite`.
    pub(crate) address: String,
    /// `http://localhost:PORT`: the same server on a site that is foreign to the service.
    pub(crate) foreign_address: String,
    seen: Arc<Seen>,
    server: ServerHandle,
}

#[derive(Default)]
struct Seen {
    arrivals: Mutex<Vec<Arrival>>,
    logout_tokens: Mutex<Vec<String>>,
    backchannel_status: AtomicU16,
    pages: Mutex<BTreeMap<String, String>>,
}

/// A browser that came back.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    /// `GET`, or `POST` for `response_mode=form_post`.
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) callback: Callback,
    /// What the browser told of where it came from; empty when nothing.
    pub(crate) referer: String,
}

type Fields = Vec<(String, String)>;

impl ClientSite {
    /// Starts it on a free port.
    pub(crate) fn start() -> Self {
        let seen = Arc::new(Seen::default());
        seen.backchannel_status.store(200, Ordering::Relaxed);
        let data = web::Data::from(Arc::clone(&seen));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(data.clone())
                .route("/callback", web::get().to(come_back))
                .route("/callback", web::post().to(come_back_with_form))
                .route("/logged-out", web::get().to(come_back))
                .route("/backchannel", web::post().to(take_logout_token))
                .route("/logo.svg", web::get().to(show_logo))
                .default_service(web::to(show_page))
        });
        let server = server.workers(1).disable_signals();
        let server = server.bind(("127.0.0.1", 0)).unwrap();
        let port = server.addrs()[0].port();
        let server = server.run();
        let handle = server.handle();
        tokio::spawn(server);
        Self {
            address: format!("http://127.0.0.1:{port}"),
            foreign_address: format!("http://localhost:{port}"),
            seen,
            server: handle,
        }
    }

    /// The redirect URI; the page there has an element `arrived`.
    pub(crate) fn callback(&self) -> String {
        format!("{}/callback", self.address)
    }

    /// Where browsers go after a logout; the page there has an element `arrived`.
    pub(crate) fn logged_out(&self) -> String {
        format!("{}/logged-out", self.address)
    }

    /// The app's logo.
    pub(crate) fn logo(&self) -> String {
        format!("{}/logo.svg", self.address)
    }

    /// Where the service sends logout tokens.
    pub(crate) fn backchannel(&self) -> String {
        format!("{}/backchannel", self.address)
    }

    /// Serves a page of the test's own: one that links here, posts there, or frames the service.
    pub(crate) fn show(&self, path: &str, html: &str) {
        let mut pages = self.seen.pages.lock().unwrap();
        pages.insert(path.to_owned(), html.to_owned());
    }

    /// The first browser that came back and was not asked for yet. Waits for one.
    pub(crate) async fn arrival(&self) -> Arrival {
        wait::until("a browser comes back to the app", || async {
            let mut arrivals = self.seen.arrivals.lock().unwrap();
            (!arrivals.is_empty()).then(|| arrivals.remove(0))
        })
        .await
    }

    /// The browsers that came back and were not asked for yet.
    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        std::mem::take(&mut self.seen.arrivals.lock().unwrap())
    }

    /// The first logout token that was not asked for yet. Waits for one.
    pub(crate) async fn logout_token(&self) -> String {
        wait::until("a logout token is delivered", || async {
            let mut tokens = self.seen.logout_tokens.lock().unwrap();
            (!tokens.is_empty()).then(|| tokens.remove(0))
        })
        .await
    }

    /// The logout tokens that are there and were not asked for yet.
    pub(crate) fn logout_tokens(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.logout_tokens.lock().unwrap())
    }

    /// Answers logout tokens with a status from now on.
    pub(crate) fn answer_logout_tokens_with(&self, status: u16) {
        self.seen
            .backchannel_status
            .store(status, Ordering::Relaxed);
    }
}

impl Drop for ClientSite {
    fn drop(&mut self) {
        // Told at once; the answer need not be waited for.
        drop(self.server.stop(false));
    }
}

async fn come_back(
    seen: web::Data<Seen>,
    request: HttpRequest,
    query: web::Query<Fields>,
) -> HttpResponse {
    arrive(&seen, &request, query.into_inner())
}

async fn come_back_with_form(
    seen: web::Data<Seen>,
    request: HttpRequest,
    form: web::Form<Fields>,
) -> HttpResponse {
    arrive(&seen, &request, form.into_inner())
}

fn arrive(seen: &Seen, request: &HttpRequest, parameters: Fields) -> HttpResponse {
    let referer = request.headers().get(header::REFERER);
    let referer = referer.map_or("", |referer| referer.to_str().unwrap());
    seen.arrivals.lock().unwrap().push(Arrival {
        method: request.method().to_string(),
        path: request.path().to_owned(),
        callback: Callback::of(parameters),
        referer: referer.to_owned(),
    });
    html(&document(
        "The app",
        r#"<p id="arrived">back at the app</p>"#,
    ))
}

async fn take_logout_token(seen: web::Data<Seen>, form: web::Form<Fields>) -> HttpResponse {
    let tokens = form.into_inner().into_iter();
    let tokens = tokens.filter(|(name, _)| name == "logout_token");
    let mut known = seen.logout_tokens.lock().unwrap();
    known.extend(tokens.map(|(_, token)| token));
    let status = seen.backchannel_status.load(Ordering::Relaxed);
    HttpResponse::build(StatusCode::from_u16(status).unwrap()).finish()
}

async fn show_logo() -> HttpResponse {
    HttpResponse::Ok().content_type("image/svg+xml").body(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="9" fill="#0a7d55"/><path d="M9 23V9h8a4.5 4.5 0 0 1 0 9H9m8 0 6 5" fill="none" stroke="#fff" stroke-width="3"/></svg>"##,
    )
}

async fn show_page(seen: web::Data<Seen>, request: HttpRequest) -> HttpResponse {
    let pages = seen.pages.lock().unwrap();
    pages
        .get(request.path())
        .map_or_else(|| HttpResponse::NotFound().finish(), |page| html(page))
}

fn html(page: &str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(ContentType::html())
        .body(page.to_owned())
}

/// A page about which no browser complains, not even about a missing icon.
pub(crate) fn document(title: &str, body: &str) -> String {
    format!(
        r#"<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<link rel="icon" href="data:,"></head><body>{body}</body></html>"#
    )
}
