//! What somebody else's app may do.

use super::Scene;
use crate::harness::app::TestClient;
use crate::harness::browser::TestBrowser;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_app_is_allowed_once_and_not_asked_about_again() {
    let scene = Scene::new().await;
    let client = scene.foreign_app().await;
    let request = scene.request(&client).with("scope", "openid orders:read");
    let less = request.clone().with("scope", "openid");
    let mut browser = TestBrowser::open().await;
    scene.arrive(&browser, &less).await;
    scene.sign_in(&browser).await;
    assert_eq!(
        browser.title().await,
        "Allow Recipe Box to use your account? – Tokensmith"
    );
    browser.click("allow").await;
    scene.arrived_with_code(&browser).await;

    scene.arrive(&browser, &less).await;
    scene.arrived_with_code(&browser).await;

    // What it has not asked for before.
    scene.arrive(&browser, &request).await;
    browser.look("consent").await;
    browser.click("allow").await;
    scene.arrived_with_code(&browser).await;

    scene.arrive(&browser, &request).await;
    scene.arrived_with_code(&browser).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_does_not_allow_it_is_back_at_the_app_and_may_still_change_their_mind() {
    let scene = Scene::new().await;
    let client = scene.foreign_app().await;
    let request = scene.request(&client);
    let browser = TestBrowser::open().await;
    scene.arrive(&browser, &request).await;
    scene.sign_in(&browser).await;
    browser.click("deny").await;
    browser.text_of("arrived").await;
    let callback = scene.site.arrival().await.callback;
    assert_eq!(callback.error.as_deref(), Some("access_denied"));
    assert_eq!(callback.state.as_deref(), Some(request.parameter("state")));
    assert_eq!(callback.code, None);

    browser.back().await;
    browser.click("allow").await;
    scene.arrived_with_code(&browser).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_else_takes_over_on_the_consent_page() {
    let scene = Scene::new().await;
    let client = scene.foreign_app().await;
    let bob = scene.app.user("bob").await;
    let browser = TestBrowser::open().await;
    scene.arrive(&browser, &scene.request(&client)).await;
    scene.sign_in(&browser).await;
    browser.click("switch").await;
    assert!(browser.text_of("continue").await.contains("ada"));
    browser.type_into("username", &bob.name).await;
    browser.type_into("password", &bob.password).await;
    browser.click("submit").await;
    let person = "return document.querySelector('.person-name').innerText";
    assert_eq!(browser.execute(person).await, "bob");
    browser.click("allow").await;
    scene.arrived_with_code(&browser).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_names_and_many_scopes_fit() {
    let brand = "Stadtwerke Bad Königshofen im Grabfeld und Umgebung";
    let variables = [
        ("TOKENSMITH_BRAND_NAME", brand),
        ("TOKENSMITH_BRAND_COLOR", "#e6b800"),
    ];
    let scene = Scene::with(&variables).await;
    let name = "arrighetta.montgomery-featherstonehaugh@longest-subdomain.example-company.co.uk";
    let person = scene.app.user(name).await;
    let mut browser = TestBrowser::open_with_language("de").await;
    let client = verbose_app(&scene).await;
    let scope = "openid profile email address phone offline_access orders:read \
                 https://api.example.com/auth/orders.archive.readonly.without-personal-data";
    let request = scene.request(&client).with("scope", scope);
    scene.arrive(&browser, &request).await;
    browser.look("login-long").await;
    browser.type_into("username", &person.name).await;
    browser.type_into("password", &person.password).await;
    browser.click("submit").await;
    browser.text_of("allow").await;
    browser.look("consent-long").await;
    browser.click("allow").await;
    scene.arrived_with_code(&browser).await;
    scene.open(&browser, "/account").await;
    browser.look("account-long").await;
    let chosen = scene.request(&client).with("prompt", "select_account");
    scene.arrive(&browser, &chosen).await;
    browser.look("choose-account-long").await;
}

async fn verbose_app(scene: &Scene) -> TestClient {
    let scope = "openid profile email address phone offline_access orders:read \
                 https://api.example.com/auth/orders.archive.readonly.without-personal-data";
    let name = "Haushaltsbuchführungsprogramm für Selbstständige – Betaversion 2 (Testumgebung)";
    let arguments = [
        "--public",
        "--name",
        name,
        "--grant",
        "authorization_code",
        "--grant",
        "refresh_token",
    ];
    let mut all = arguments.to_vec();
    all.extend([
        "--scope",
        scope,
        "--redirect-uri",
        "http://127.0.0.1/callback",
    ]);
    all.extend(["--audience", "https://api.example.com"]);
    scene.app.register("haushaltsbuch", &all).await
}
