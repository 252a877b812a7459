//! A person's browser: Chromium with a fresh profile. What a page looks like, what its scripts and
//! its Content-Security-Policy do, and which cookies travel is the browser's word, not ours. For
//! tests of the protocol, [`Person`](super::person::Person) is faster.

mod look;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::webdriver::{Driver, Failure, Session};

/// Two browsers at once are as much as two cores carry.
static PLACES: Semaphore = Semaphore::const_new(2);

/// How long a page may take to appear, or to be left.
const PATIENCE: Duration = Duration::from_secs(15);

/// One browser. Verbs that name an element wait until the page shows it. When the browser is
/// dropped, whatever its console holds fails the test, unless the test has asked for it with
/// [`Self::console_errors`].
pub(crate) struct TestBrowser {
    session: Session,
    viewport: Viewport,
    scheme: Scheme,
    /// Addresses of the pages that were shown.
    visited: Mutex<BTreeSet<String>>,
    // Dropped in this order: the next browser starts when this one has ended.
    _driver: Driver,
    _place: SemaphorePermit<'static>,
}

/// How large the window is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Viewport {
    /// 390 × 844, with touch, as the common phones have.
    Phone,
    /// 1280 × 800
    Desktop,
    /// 320 × 640, which is also a desktop at 400 % (WCAG 2.2, 1.4.10 Reflow).
    Narrow,
}

/// What a person prefers on the whole device (`prefers-color-scheme`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scheme {
    Light,
    Dark,
}

/// A tab of a browser.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Tab(String);

/// A cookie as the browser keeps it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct BrowserCookie {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) path: String,
    pub(crate) domain: String,
    pub(crate) http_only: bool,
    pub(crate) secure: bool,
    /// `Strict`, `Lax` or `None`.
    pub(crate) same_site: String,
    /// In seconds since 1970; `None` for as long as the browser runs.
    pub(crate) expires: Option<i64>,
}

/// Element, whether using it leaves the page, and the root of the page, which is another one
/// after every navigation.
const VISIBLE: &str = "
    const element = document.getElementById(arguments[0]);
    if (!element || !element.checkVisibility()) return null;
    return [element, leadsAway(element), document.documentElement];";

const TEXT: &str = "
    const element = document.getElementById(arguments[0]);
    return element?.checkVisibility() ? element.innerText.trim() : null;";

const FOCUSED: &str = "
    const element = document.activeElement;
    return [element, leadsAway(element), document.documentElement];";

/// A link leads to another document, and a button or Enter sends a form if that is complete.
const LEADS_AWAY: &str = "
    function leadsAway(element) {
        const link = element.closest('a[href]');
        if (link) {
            const here = location.href.split('#')[0];
            return link.target !== '_blank' && !link.href.startsWith(here + '#');
        }
        const submitter = element.closest('button, input');
        const form = submitter?.form;
        if (!form || submitter.disabled || ['button', 'reset'].includes(submitter.type)) return false;
        const sends = ['submit', 'image'].includes(submitter.type) || arguments[1] === 'Enter';
        const unchecked = form.noValidate || submitter.formNoValidate;
        return sends && (unchecked || form.matches(':valid'));
    }";

impl TestBrowser {
    /// Opens a browser on a desk, in English.
    pub(crate) async fn open() -> Self {
        Self::open_with_language("en").await
    }

    /// Opens the browser of somebody who reads a language such as `de`.
    pub(crate) async fn open_with_language(language: &str) -> Self {
        let place = PLACES.acquire().await.unwrap();
        Self::start(language, place).await
    }

    /// Opens two, each with a profile of its own. Who opened one after the other could wait for
    /// somebody who does the same.
    pub(crate) async fn open_two() -> (Self, Self) {
        let mut places = PLACES.acquire_many(2).await.unwrap();
        let place = places.split(1).unwrap();
        tokio::join!(Self::start("en", place), Self::start("en", places))
    }

    async fn start(language: &str, place: SemaphorePermit<'static>) -> Self {
        let driver = Driver::start();
        let browser = Self {
            session: driver.open(language).await,
            viewport: Viewport::Desktop,
            scheme: Scheme::Light,
            visited: Mutex::default(),
            _driver: driver,
            _place: place,
        };
        browser.emulate().await;
        browser
    }

    /// Opens an address and waits until it is loaded, errors of the server included.
    pub(crate) async fn goto(&self, url: &str) {
        let body = json!({ "url": url });
        self.session.post("/url", body).await.unwrap();
        self.arrived().await;
    }

    /// The address of the page.
    pub(crate) async fn url(&self) -> String {
        text(&self.session.get("/url").await.unwrap())
    }

    /// The title of the page.
    pub(crate) async fn title(&self) -> String {
        text(&self.session.get("/title").await.unwrap())
    }

    /// Replaces what a field holds, key by key.
    pub(crate) async fn type_into(&self, id: &str, typed: &str) {
        let (element, _) = self.visible(id).await;
        let at = format!("/element/{element}");
        let cleared = self.session.post(&format!("{at}/clear"), json!({})).await;
        cleared.unwrap();
        let keys = json!({ "text": typed });
        let typed = self.session.post(&format!("{at}/value"), keys).await;
        typed.unwrap();
    }

    /// Clicks where a person would, which fails when something lies above the element. Where the
    /// click leads to another page, waits until that is loaded.
    pub(crate) async fn click(&self, id: &str) {
        let (element, leaving) = self.visible(id).await;
        let clicked = format!("/element/{element}/click");
        self.session.post(&clicked, json!({})).await.unwrap();
        self.leave(&format!("a click on {id:?}"), leaving).await;
    }

    /// The text of an element as a person sees it.
    pub(crate) async fn text_of(&self, id: &str) -> String {
        // In one script, since a page may be on its way to the next by itself.
        self.until(&format!("the page shows {id:?}"), async || {
            let shown = self.session.run(TEXT, json!([id])).await.ok()?;
            shown.as_str().map(str::to_owned)
        })
        .await
    }

    /// Whether the page shows an element now.
    pub(crate) async fn exists(&self, id: &str) -> bool {
        let found = self.script(VISIBLE, json!([id])).await.unwrap();
        !found.is_null()
    }

    /// The button "back".
    pub(crate) async fn back(&self) {
        self.session.post("/back", json!({})).await.unwrap();
        self.arrived().await;
    }

    /// The button "reload", which sends a form once more where the page is the answer to one.
    pub(crate) async fn reload(&self) {
        self.session.post("/refresh", json!({})).await.unwrap();
        self.arrived().await;
    }

    /// Opens a tab and goes there.
    pub(crate) async fn new_tab(&self) -> Tab {
        let body = json!({ "type": "tab" });
        let opened = self.session.post("/window/new", body).await.unwrap();
        let tab = Tab(text(&opened["handle"]));
        self.switch_to(&tab).await;
        tab
    }

    /// The tab that everything else here is about.
    pub(crate) async fn tab(&self) -> Tab {
        Tab(text(&self.session.get("/window").await.unwrap()))
    }

    /// Goes to a tab.
    pub(crate) async fn switch_to(&self, tab: &Tab) {
        let body = json!({ "handle": tab.0 });
        self.session.post("/window", body).await.unwrap();
        self.emulate().await;
    }

    /// The cookies that the browser would send with the page's address.
    pub(crate) async fn cookies(&self) -> Vec<BrowserCookie> {
        let cookies = self.session.get("/cookie").await.unwrap();
        let cookies = cookies.as_array().unwrap();
        cookies.iter().map(BrowserCookie::of).collect()
    }

    /// Deletes the cookies of all sites.
    pub(crate) async fn delete_cookies(&self) {
        self.devtools("Network.clearBrowserCookies", json!({}))
            .await;
    }

    /// Runs the body of a function in the page, past its Content-Security-Policy, and awaits what
    /// it returns.
    pub(crate) async fn execute(&self, script: &str) -> Value {
        self.session.run(script, json!([])).await.unwrap()
    }

    /// Goes to the next element with the keyboard.
    pub(crate) async fn press_tab(&self) {
        self.press('\u{E004}').await;
    }

    /// Types into the element that has the keyboard.
    pub(crate) async fn type_keys(&self, typed: &str) {
        for key in typed.chars() {
            self.press(key).await;
        }
    }

    /// Presses Enter. Where that leads to another page, waits until that is loaded.
    pub(crate) async fn press_enter(&self) {
        let focused = self.script(FOCUSED, json!([null, "Enter"])).await;
        let leaving = Leaving::of(&focused.unwrap());
        self.press('\u{E007}').await;
        self.leave("Enter", leaving).await;
    }

    /// The element that has the keyboard; empty when it has no id.
    pub(crate) async fn active_element_id(&self) -> String {
        text(&self.execute("return document.activeElement.id").await)
    }

    /// Resizes the window, of all tabs.
    pub(crate) async fn set_viewport(&mut self, viewport: Viewport) {
        self.viewport = viewport;
        self.emulate().await;
    }

    /// Changes the device to light or dark.
    pub(crate) async fn set_scheme(&mut self, scheme: Scheme) {
        self.scheme = scheme;
        self.emulate().await;
    }

    /// What the browser complained about since this was last asked: violations of the
    /// Content-Security-Policy, exceptions, files that are missing. That a page itself has a
    /// status of 400 or above is no complaint.
    pub(crate) async fn console_errors(&self) -> Vec<String> {
        complaints(&self.session, &self.visited).await
    }

    /// A command of the Chrome `DevTools` Protocol, for what the verbs here lack.
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.session.devtools(command, parameters).await
    }

    /// Waits until the page shows an element.
    async fn visible(&self, id: &str) -> (String, Leaving) {
        let what = format!("the page shows {id:?}");
        let shown = self.until(&what, async || {
            // There is no page to ask while the next one comes.
            let found = self.script(VISIBLE, json!([id])).await.ok()?;
            (!found.is_null()).then_some(found)
        });
        let shown = shown.await;
        (reference(&shown[0]), Leaving::of(&shown))
    }

    async fn script(&self, script: &str, arguments: Value) -> Result<Value, Failure> {
        let script = format!("{LEADS_AWAY}{script}");
        self.session.run(&script, arguments).await
    }

    async fn press(&self, key: char) {
        let actions = json!([
            { "type": "keyDown", "value": key },
            { "type": "keyUp", "value": key },
        ]);
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": actions });
        let body = json!({ "actions": [keyboard] });
        self.session.post("/actions", body).await.unwrap();
    }

    /// Waits until the page is another one.
    async fn leave(&self, how: &str, leaving: Leaving) {
        if !leaving.expected {
            return;
        }
        self.until(&format!("{how} has led to another page"), async || {
            let loaded =
                "return document.readyState === 'complete' ? document.documentElement : null";
            let root = self.session.run(loaded, json!([])).await.ok()?;
            (!root.is_null() && reference(&root) != leaving.page).then_some(())
        })
        .await;
        self.arrived().await;
    }

    async fn arrived(&self) {
        let url = self.url().await;
        self.visited.lock().unwrap().insert(without_fragment(&url));
    }

    /// Sizes and colours belong to a tab.
    async fn emulate(&self) {
        let (width, height, scale, is_phone) = match self.viewport {
            Viewport::Desktop => (1280, 800, 1, false),
            Viewport::Phone => (390, 844, 2, true),
            Viewport::Narrow => (320, 640, 1, true),
        };
        let screen = json!({
            "width": width, "height": height, "deviceScaleFactor": scale, "mobile": is_phone,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", screen)
            .await;
        let touch = json!({ "enabled": is_phone });
        self.devtools("Emulation.setTouchEmulationEnabled", touch)
            .await;
        let scheme = json!({ "name": "prefers-color-scheme", "value": self.scheme.name() });
        // What fades looks the same at once, so that no picture shows half of it.
        let motion = json!({ "name": "prefers-reduced-motion", "value": "reduce" });
        let media = json!({ "features": [scheme, motion] });
        self.devtools("Emulation.setEmulatedMedia", media).await;
    }

    /// As [`wait::until`](super::wait::until); when it waits in vain, says what the browser shows.
    async fn until<T>(&self, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
        let asking = async {
            loop {
                if let Some(answer) = ask().await {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if let Ok(answer) = tokio::time::timeout(PATIENCE, asking).await {
            return answer;
        }
        let page = "return document.body.innerText";
        let page = self.session.run(page, json!([])).await;
        panic!(
            "waited in vain until {what}, at {}\nconsole: {:#?}\nthe page says: {page:?}",
            self.url().await,
            self.console_errors().await,
        );
    }
}

impl Drop for TestBrowser {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let session = self.session.for_another_runtime();
        let visited = &self.visited;
        // A runtime of its own, since the test's may have a single thread, this one.
        let last_words = std::thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                runtime.unwrap().block_on(async {
                    let complaints = complaints(&session, visited).await;
                    session.delete("").await.unwrap();
                    complaints
                })
            });
            asking.join()
        });
        let complaints = last_words.unwrap();
        assert!(complaints.is_empty(), "on the console: {complaints:#?}");
    }
}

/// The page on which something was done.
struct Leaving {
    /// Whether it will be left.
    expected: bool,
    page: String,
}

impl Leaving {
    /// Of what [`VISIBLE`] and [`FOCUSED`] answer.
    fn of(found: &Value) -> Self {
        Self {
            expected: found[1] == true,
            page: reference(&found[2]),
        }
    }
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

impl BrowserCookie {
    fn of(cookie: &Value) -> Self {
        Self {
            name: text(&cookie["name"]),
            value: text(&cookie["value"]),
            path: text(&cookie["path"]),
            domain: text(&cookie["domain"]),
            http_only: cookie["httpOnly"] == true,
            secure: cookie["secure"] == true,
            same_site: text(&cookie["sameSite"]),
            expires: cookie["expiry"].as_i64(),
        }
    }
}

/// What the console holds, emptied by asking.
async fn complaints(session: &Session, visited: &Mutex<BTreeSet<String>>) -> Vec<String> {
    let log = session.post("/se/log", json!({ "type": "browser" })).await;
    let log = log.unwrap();
    let visited = visited.lock().unwrap();
    let is_status_of_page = |message: &str| {
        message
            .split_once(" - Failed to load resource: the server responded with a status of ")
            .is_some_and(|(url, _)| visited.contains(url))
    };
    let entries = log.as_array().unwrap().iter();
    entries
        .filter(|entry| entry["level"] == "SEVERE")
        .map(|entry| text(&entry["message"]))
        .filter(|message| !is_status_of_page(message))
        .collect()
}

/// The identifier of an element (`WebDriver` §12.2).
fn reference(element: &Value) -> String {
    text(&element["element-6066-11e4-a52e-4f735466cecf"])
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn without_fragment(url: &str) -> String {
    url.split('#').next().unwrap_or_default().to_owned()
}

/// Of the harness itself, on pages of its own.
mod tests {
    use super::super::client_site::{ClientSite, document};
    use super::{Scheme, TestBrowser, Viewport};

    const FORM: &str = r#"
        <meta name="viewport" content="width=device-width">
        <style>:root { color-scheme: light dark }</style>
        <form method="post" action="/callback">
            <input id="name" name="name" autocomplete="username" required>
            <button id="submit" name="action" value="login">Sign in</button>
        </form>
        <button id="inert" type="button">Stay</button>
        <p id="hidden" hidden>not shown</p>"#;

    #[tokio::test]
    async fn a_browser_fills_forms_in_and_goes_back() {
        let site = ClientSite::start();
        site.show("/form", &document("A form", FORM));
        let browser = TestBrowser::open_with_language("de").await;
        let form = format!("{}/form", site.address);
        browser.goto(&form).await;
        assert_eq!(browser.title().await, "A form");
        assert!(!browser.exists("hidden").await);
        assert_eq!(browser.execute("return navigator.language").await, "de");

        // Neither a form that is not complete nor a button without one leaves the page.
        browser.click("submit").await;
        browser.click("inert").await;
        assert_eq!(browser.url().await, form);

        browser.execute("document.body.focus()").await;
        browser.type_into("name", "Ada & Bob").await;
        assert_eq!(browser.active_element_id().await, "name");
        browser.press_tab().await;
        assert_eq!(browser.active_element_id().await, "submit");
        browser.press_enter().await;
        assert_eq!(browser.text_of("arrived").await, "back at the app");
        let arrival = site.arrival().await;
        assert_eq!(arrival.method, "POST");
        assert_eq!(arrival.referer, form);
        let sent = [("name", "Ada & Bob"), ("action", "login")];
        let sent = sent.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(arrival.callback.parameters, sent);

        browser.back().await;
        assert_eq!(browser.url().await, form);
    }

    #[tokio::test]
    async fn a_browser_has_cookies_tabs_sizes_and_colours() {
        let site = ClientSite::start();
        site.show("/form", &document("A form", FORM));
        let mut browser = TestBrowser::open().await;
        browser.goto(&format!("{}/form", site.address)).await;
        let first = browser.tab().await;
        let bake = "document.cookie = 'a=b; SameSite=Strict; path=/form'";
        browser.execute(bake).await;
        let cookies = browser.cookies().await;
        assert_eq!(cookies.len(), 1);
        let cookie = &cookies[0];
        let kept = (&*cookie.name, &*cookie.value, &*cookie.path);
        assert_eq!(kept, ("a", "b", "/form"));
        assert_eq!((cookie.http_only, cookie.secure), (false, false));
        assert_eq!(cookie.same_site, "Strict");
        browser.delete_cookies().await;
        assert_eq!(browser.cookies().await, []);

        browser.set_viewport(Viewport::Phone).await;
        browser.set_scheme(Scheme::Dark).await;
        let dark_phone = "return innerWidth === 390 && matchMedia('(pointer: coarse)').matches
            && matchMedia('(prefers-color-scheme: dark)').matches";
        assert_eq!(browser.execute(dark_phone).await, true);
        let second = browser.new_tab().await;
        browser.goto(&format!("{}/form", site.address)).await;
        assert_eq!(browser.execute(dark_phone).await, true);
        assert_ne!(first, second);
        browser.switch_to(&first).await;
        assert_eq!(browser.tab().await, first);
        browser.reload().await;
    }

    #[tokio::test]
    #[should_panic(expected = "Content Security Policy")]
    async fn what_a_policy_forbids_fails_the_test() {
        let site = ClientSite::start();
        let page = document("Strict", "<script>document.title = 'changed'</script>");
        let policy = r#"<meta http-equiv="Content-Security-Policy" content="script-src 'none'">"#;
        site.show("/", &page.replace("</head>", &format!("{policy}</head>")));
        let browser = TestBrowser::open().await;
        browser.goto(&site.address).await;
        assert_eq!(browser.title().await, "Strict");
        assert!(!browser.exists("missing").await);
    }
}
