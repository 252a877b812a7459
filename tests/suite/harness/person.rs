//! A person with a browser that draws nothing: cookies, links and forms over plain HTTP, without
//! following redirects. A thousand times as fast as [`TestBrowser`](super::browser::TestBrowser),
//! and it shows what a browser hides.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use url::Url;

use super::contract::{Contract, Documented};
use super::html::{Button, Document, Element, Form};
use super::secrets::Secrets;
use super::{Reply, TestApp};

/// Where a cross-site request comes from.
const ELSEWHERE: &str = "https://elsewhere.example";

/// One browser profile, at one service.
pub(crate) struct Person {
    /// What the browser has, for assertions and for theft.
    pub(crate) cookies: Vec<Cookie>,
    /// The service as the browser knows it.
    issuer: Url,
    /// Where it is reached: the issuer may be an `https` address with a proxy before the service.
    address: Url,
    /// Whether the answers are those of the service, which keeps to the contract.
    is_at_service: bool,
    secrets: Secrets,
    http: reqwest::Client,
}

/// A cookie with all that `Set-Cookie` said (RFC 6265bis §5.6).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Cookie {
    pub(crate) name: String,
    pub(crate) value: String,
    /// The default is the directory of the page that set it.
    pub(crate) path: String,
    /// `None` binds it to this very host.
    pub(crate) domain: Option<String>,
    pub(crate) http_only: bool,
    pub(crate) secure: bool,
    /// `Strict`, `Lax` or `None`; without the attribute, browsers take `Lax`.
    pub(crate) same_site: Option<String>,
    /// In seconds; `None` for as long as the browser runs.
    pub(crate) max_age: Option<i64>,
}

/// A request of a browser.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    method: Method,
    url: String,
    form: Option<Vec<(String, String)>>,
    site: Site,
    /// Replaces what the browser would say.
    headers: Vec<(String, String)>,
}

/// Who made the browser send a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Site {
    /// The person, in the address bar.
    Typed,
    /// A page of the service.
    Same,
    /// A page of somebody else.
    Cross,
}

/// An answer to a browser.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// As the browser knows it.
    pub(crate) url: Url,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// As in [`Reply::documented`].
    pub(crate) documented: Option<Documented>,
}

impl Visit {
    /// A request that the person typed.
    pub(crate) fn get(url: &str) -> Self {
        Self {
            method: Method::GET,
            url: url.to_owned(),
            form: None,
            site: Site::Typed,
            headers: Vec::new(),
        }
    }

    /// A form that a page of the service sends.
    pub(crate) fn post<N: AsRef<str>, V: AsRef<str>>(url: &str, fields: &[(N, V)]) -> Self {
        let fields = fields.iter();
        let fields = fields.map(|(name, value)| (name.as_ref().into(), value.as_ref().into()));
        Self {
            method: Method::POST,
            form: Some(fields.collect()),
            site: Site::Same,
            ..Self::get(url)
        }
    }

    /// The same, from a page of somebody else.
    pub(crate) fn sent_from_elsewhere(mut self) -> Self {
        self.site = Site::Cross;
        self
    }

    /// Sets a header in place of the browser's; an empty value leaves it out.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl Person {
    /// A browser that has never been at the service.
    pub(crate) fn new(app: &TestApp) -> Self {
        let is_at_service = true;
        Self {
            is_at_service,
            secrets: app.secrets.clone(),
            ..Self::at(&app.issuer, &app.address)
        }
    }

    fn at(issuer: &str, address: &str) -> Self {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        Self {
            cookies: Vec::new(),
            issuer: issuer.parse().unwrap(),
            address: address.parse().unwrap(),
            is_at_service: false,
            secrets: Secrets::default(),
            http: http.build().unwrap(),
        }
    }

    /// Opens an address, absolute or from the root of the service's host.
    pub(crate) async fn get(&mut self, url: &str) -> Page {
        self.send(Visit::get(url)).await
    }

    /// Follows a link or a redirect of a page of the service.
    pub(crate) async fn follow(&mut self, url: &str) -> Page {
        let mut visit = Visit::get(url);
        visit.site = Site::Same;
        self.send(visit).await
    }

    /// Sends a form that a page of the service could hold.
    pub(crate) async fn post_form<N: AsRef<str>, V: AsRef<str>>(
        &mut self,
        url: &str,
        fields: &[(N, V)],
    ) -> Page {
        self.send(Visit::post(url, fields)).await
    }

    /// Follows a link on somebody else's page.
    pub(crate) async fn cross_site_get(&mut self, url: &str) -> Page {
        self.send(Visit::get(url).sent_from_elsewhere()).await
    }

    /// Sends a form that somebody else's page holds.
    pub(crate) async fn cross_site_post<N: AsRef<str>, V: AsRef<str>>(
        &mut self,
        url: &str,
        fields: &[(N, V)],
    ) -> Page {
        self.send(Visit::post(url, fields).sent_from_elsewhere())
            .await
    }

    /// Fills a form in and clicks a button. `filled` replaces what the fields hold.
    ///
    /// # Panics
    /// When the page has no such button, or the form no such field.
    pub(crate) async fn submit(
        &mut self,
        page: &Page,
        button_id: &str,
        filled: &[(&str, &str)],
    ) -> Page {
        let (form, button) = page.form_with(button_id);
        let mut fields = form.fields;
        for (name, value) in filled {
            let field = fields.iter_mut().find(|(known, _)| known == name);
            let field = field.unwrap_or_else(|| panic!("no field {name}:\n{}", page.text));
            (*value).clone_into(&mut field.1);
        }
        if !button.name.is_empty() {
            fields.push((button.name, button.value));
        }
        let mut target = page.url.join(&form.action).unwrap();
        let visit = if form.method == "post" {
            Visit::post(target.as_str(), &fields)
        } else {
            target.query_pairs_mut().clear().extend_pairs(&fields);
            Visit {
                site: Site::Same,
                ..Visit::get(target.as_str())
            }
        };
        // What a form sends as its origin depends on the page (Fetch §3.2, "append a request
        // Origin header").
        let visit = match page.header("referrer-policy") {
            "no-referrer" => visit.header("origin", "null"),
            _ => visit,
        };
        self.send(visit).await
    }

    /// Sends a request, keeps the cookies of the answer, and holds it against the contract.
    pub(crate) async fn send(&mut self, visit: Visit) -> Page {
        let url = self.issuer.join(&visit.url).unwrap();
        let mut headers = self.headers(&visit, &url);
        for (name, value) in &visit.headers {
            let name: HeaderName = name.parse().unwrap();
            headers.remove(&name);
            if !value.is_empty() {
                headers.insert(name, value.parse().unwrap());
            }
        }
        let method = visit.method.clone();
        let request = self.http.request(visit.method, self.reached_at(&url));
        let request = match &visit.form {
            Some(form) => request.form(form),
            None => request,
        };
        let request = request.headers(headers).build().unwrap();
        self.secrets.note_request(&request);
        let response = self.http.execute(request).await.unwrap();
        for header in response.headers().get_all("set-cookie") {
            self.keep(Cookie::parse(header.to_str().unwrap(), &url), &url);
        }
        let mut reply = Reply {
            status: response.status(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
            documented: None,
        };
        self.secrets.note_answer(&reply);
        if self.is_at_service {
            let base = self.issuer.path().trim_end_matches('/');
            reply.documented = Contract::committed()
                .check(base, (&method, url.path()), &reply)
                .unwrap_or_else(|error| panic!("{method} {url}: {error}: {}", reply.text));
        }
        Page {
            url,
            status: reply.status,
            headers: reply.headers,
            text: reply.text,
            documented: reply.documented,
        }
    }

    /// What a browser says about the request and about its cookies.
    fn headers(&self, visit: &Visit, url: &Url) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut say = |name: &'static str, value: &str| {
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        };
        let own_origin = url.origin().ascii_serialization();
        let (site, origin) = match visit.site {
            Site::Typed => ("none", own_origin.as_str()),
            Site::Same => ("same-origin", own_origin.as_str()),
            Site::Cross => ("cross-site", ELSEWHERE),
        };
        say("sec-fetch-site", site);
        say("sec-fetch-mode", "navigate");
        say("sec-fetch-dest", "document");
        say("sec-fetch-user", "?1");
        say("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
        if visit.method != Method::GET {
            say("origin", origin);
        }
        if self.issuer.origin() != self.address.origin() {
            say(
                "host",
                &url[url::Position::BeforeHost..url::Position::AfterPort],
            );
        }
        let sent: Vec<String> = self
            .cookies
            .iter()
            .filter(|cookie| cookie.goes_with(visit, url))
            .map(|cookie| format!("{}={}", cookie.name, cookie.value))
            .collect();
        if !sent.is_empty() {
            say("cookie", &sent.join("; "));
        }
        headers
    }

    /// The issuer's origin in the address of the process.
    fn reached_at(&self, url: &Url) -> String {
        assert_eq!(
            url.origin(),
            self.issuer.origin(),
            "a person here visits the service only; what is at the app, the test reads"
        );
        let rest = &url[url::Position::BeforePath..url::Position::AfterQuery];
        self.address.join(rest).unwrap().into()
    }

    fn keep(&mut self, cookie: Cookie, url: &Url) {
        if let Some(why) = cookie.refused_from(url) {
            panic!("a browser refuses {cookie:?} from {url}: {why}");
        }
        let is_other = |known: &Cookie| (&known.name, &known.path) != (&cookie.name, &cookie.path);
        self.cookies.retain(is_other);
        if cookie.max_age.is_none_or(|age| age > 0) {
            self.cookies.push(cookie);
        }
    }

    /// A cookie of the browser.
    pub(crate) fn cookie(&self, name: &str) -> Option<&Cookie> {
        self.cookies.iter().find(|cookie| cookie.name == name)
    }
}

impl Cookie {
    /// Reads `Set-Cookie`.
    ///
    /// # Panics
    /// On attributes that we never send.
    fn parse(header: &str, url: &Url) -> Self {
        let mut parts = header.split(';').map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (name.trim(), value.trim())
        });
        let (name, value) = parts.next().unwrap();
        let directory = url
            .path()
            .rsplit_once('/')
            .map_or("", |(directory, _)| directory);
        let mut cookie = Self {
            name: name.to_owned(),
            value: value.to_owned(),
            path: if directory.is_empty() { "/" } else { directory }.to_owned(),
            domain: None,
            http_only: false,
            secure: false,
            same_site: None,
            max_age: None,
        };
        for (attribute, value) in parts {
            match attribute.to_ascii_lowercase().as_str() {
                "path" => value.clone_into(&mut cookie.path),
                "domain" => cookie.domain = Some(value.to_owned()),
                "httponly" => cookie.http_only = true,
                "secure" => cookie.secure = true,
                "samesite" => cookie.same_site = Some(value.to_owned()),
                "max-age" => cookie.max_age = Some(value.parse().unwrap()),
                unknown => panic!("the cookie attribute {unknown}; teach this harness"),
            }
        }
        cookie
    }

    /// Why a browser drops it in silence (RFC 6265bis §5.7).
    fn refused_from(&self, url: &Url) -> Option<&'static str> {
        let host_only = self.secure && self.path == "/" && self.domain.is_none();
        if self.secure && url.scheme() != "https" {
            Some("Secure from a page without TLS")
        } else if self.name.starts_with("__Host-") && !host_only {
            Some("__Host- wants Secure, Path=/ and no Domain")
        } else if self.same_site.as_deref() == Some("None") && !self.secure {
            Some("SameSite=None wants Secure")
        } else {
            None
        }
    }

    /// RFC 6265bis §5.8.3. The host is always that of the service.
    fn goes_with(&self, visit: &Visit, url: &Url) -> bool {
        let under = url.path().strip_prefix(self.path.trim_end_matches('/'));
        let path_matches = under.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let site_matches = match self.same_site.as_deref() {
            _ if visit.site != Site::Cross => true,
            Some("None") => true,
            Some("Strict") => false,
            // Lax: with navigations by a safe method only.
            _ => visit.method == Method::GET,
        };
        path_matches && site_matches && (!self.secure || url.scheme() == "https")
    }
}

impl Page {
    /// A header as text; empty when absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// Where a redirect leads to; `None` when it is none.
    pub(crate) fn location(&self) -> Option<Url> {
        let to = self
            .status
            .is_redirection()
            .then(|| self.header("location"))?;
        Some(self.url.join(to).unwrap())
    }

    /// The page, read.
    pub(crate) fn document(&self) -> Document {
        assert!(
            self.header("content-type").starts_with("text/html"),
            "not a page: {self:?}"
        );
        Document::read(&self.text)
    }

    /// Every form of the page.
    pub(crate) fn forms(&self) -> Vec<Form> {
        self.document().forms()
    }

    /// The form with a button, and the button.
    pub(crate) fn form_with(&self, button_id: &str) -> (Form, Button) {
        let forms = self.forms().into_iter();
        let mut found = forms.filter_map(|form| {
            let mut buttons = form.buttons.iter();
            let button = buttons.find(|button| button.id == button_id)?.clone();
            Some((form, button))
        });
        let found = found.next();
        found.unwrap_or_else(|| {
            panic!(
                "{} {}: no button {button_id}:\n{}",
                self.url, self.status, self.text
            )
        })
    }

    /// Whether the page has an element.
    pub(crate) fn has_id(&self, id: &str) -> bool {
        self.is_html() && self.document().find(id).is_some()
    }

    /// The text of an element, with single spaces; `None` when the page has none.
    pub(crate) fn text_of_id(&self, id: &str) -> Option<String> {
        let document = self.document();
        document.find(id).map(|element| document.text_of(element))
    }

    /// An attribute of an element; `None` when the page has no such element.
    pub(crate) fn attribute_of_id(&self, id: &str, name: &str) -> Option<String> {
        let document = self.document();
        let read = |element: &Element| element.attribute(name).to_owned();
        document.find(id).map(read)
    }

    fn is_html(&self) -> bool {
        self.header("content-type").starts_with("text/html")
    }
}

/// Of the harness itself.
mod tests {
    use super::{Cookie, Person, Visit};
    use crate::harness::client_site::{ClientSite, document};

    #[tokio::test]
    async fn a_person_sends_what_the_form_holds_and_the_button_that_was_clicked() {
        let site = ClientSite::start();
        let form = r#"<form method="post" action="callback">
            <input type="hidden" name="request" value="a&amp;b &uuml;">
            <input name="username" value="before"><input type="checkbox" name="stay" checked>
            <button id="submit" name="action" value="login">Go on</button>
            <button id="cancel" name="action" value="cancel" formnovalidate>Back</button>
            <p id="error">No such <b>user</b>.<br> Try again</p></form>"#;
        site.show("/form", &document("A form", form));
        let mut person = Person::at(&site.address, &site.address);
        let page = person.get("/form").await;
        let error = page.text_of_id("error");
        assert_eq!(error.as_deref(), Some("No such user. Try again"));
        assert!(page.has_id("cancel") && !page.has_id("allow"));

        let page = person.submit(&page, "submit", &[("username", "ada")]).await;
        assert!(page.has_id("arrived"));
        let sent = [
            ("request", "a&b ü"),
            ("username", "ada"),
            ("stay", "on"),
            ("action", "login"),
        ];
        let sent = sent.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(site.arrival().await.callback.parameters, sent);
    }

    #[test]
    fn cookies_go_where_a_browser_sends_them() {
        let page = "https://login.example.com/account/devices".parse().unwrap();
        let cookie = |header: &str| Cookie::parse(header, &page);
        let goes = |header: &str, visit: &Visit| {
            cookie(header).goes_with(visit, &visit.url.parse().unwrap())
        };
        let own = Visit::get("https://login.example.com/account");
        assert!(goes("a=b; Secure", &own));
        assert!(goes("a=b; Path=/", &own));
        assert!(!goes("a=b; Path=/acc", &own));
        assert!(!goes(
            "a=b; Secure",
            &Visit::get("http://login.example.com/account")
        ));

        let link = own.clone().sent_from_elsewhere();
        let form = Visit::post::<&str, &str>(&own.url, &[]).sent_from_elsewhere();
        let cases = [
            ("a=b; Secure; SameSite=Strict", false, false),
            ("a=b; Secure; SameSite=Lax", true, false),
            ("a=b; Secure", true, false),
            ("a=b; Secure; SameSite=None", true, true),
        ];
        for (header, with_link, with_form) in cases {
            assert_eq!(goes(header, &link), with_link, "{header}");
            assert_eq!(goes(header, &form), with_form, "{header}");
            assert!(goes(header, &own), "{header}");
        }
        let refused = |header: &str| cookie(header).refused_from(&page).is_some();
        assert!(refused("__Host-a=b; Secure; Path=/login"));
        assert!(refused("a=b; SameSite=None"));
        assert!(!refused("__Host-a=b; Secure; Path=/; HttpOnly"));
    }

    #[test]
    fn a_cookie_without_lifetime_is_deleted() {
        let url = "http://127.0.0.1/".parse().unwrap();
        let mut person = Person::at("http://127.0.0.1", "http://127.0.0.1");
        person.keep(Cookie::parse("a=b; HttpOnly; Max-Age=60", &url), &url);
        assert!(person.cookie("a").is_some_and(|cookie| cookie.http_only));
        person.keep(Cookie::parse("a=; Max-Age=0", &url), &url);
        assert_eq!(person.cookie("a"), None);
    }
}
