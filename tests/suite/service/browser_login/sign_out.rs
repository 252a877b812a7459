//! Signing out, by the own wish or by that of an app.

use url::Url;

use super::Scene;
use crate::harness::app::TestClient;
use crate::harness::browser::TestBrowser;
use crate::harness::login::VERIFIER;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_knows_who_is_signed_in_signs_them_out_without_a_question() {
    let scene = Scene::new().await;
    let client = app(&scene).await;
    let browser = TestBrowser::open().await;
    scene.arrive(&browser, &scene.request(&client)).await;
    scene.sign_in(&browser).await;
    let callback = scene.arrived_with_code(&browser).await.callback;
    let reply = scene.app.redeem(&client, callback.code(), VERIFIER).await;
    let id_token = reply.json()["id_token"].as_str().unwrap().to_owned();

    let hint = [("id_token_hint", id_token.as_str())];
    scene.follow(&browser, &end_session(&scene, &hint)).await;
    arrived_signed_out(&scene, &browser).await;
    scene.open(&browser, "/account").await;
    assert!(browser.exists("password").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_does_not_know_lets_the_person_decide() {
    let scene = Scene::new().await;
    let client = app(&scene).await;
    let mut browser = TestBrowser::open().await;
    scene.open_account(&browser).await;
    let wish = end_session(&scene, &[("client_id", &client.id)]);
    scene.follow(&browser, &wish).await;
    assert_eq!(browser.title().await, "Sign out? – Tokensmith");
    browser.look("sign-out").await;
    browser.click("stay").await;
    assert!(browser.exists("save-profile").await, "still signed in");

    scene.follow(&browser, &wish).await;
    browser.click("logout").await;
    arrived_signed_out(&scene, &browser).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_out_oneself_ends_on_a_page_that_says_so() {
    let scene = Scene::new().await;
    let browser = TestBrowser::open().await;
    scene.open_account(&browser).await;
    browser.click("logout").await;
    assert_eq!(browser.text_of("signed-out").await, "You are signed out");
    browser.reload().await;
    assert_eq!(browser.text_of("signed-out").await, "You are signed out");
    browser.click("log-in").await;
    scene.sign_in(&browser).await;
    assert!(browser.exists("save-profile").await);
}

async fn app(scene: &Scene) -> TestClient {
    let signed_out = scene.site.logged_out();
    let arguments = [
        "--public",
        "--first-party",
        "--name",
        "Larder",
        "--post-logout-redirect-uri",
        &signed_out,
    ];
    scene.app.app_for_people("larder", &arguments).await
}

/// What an app sends the browser to for a logout.
fn end_session(scene: &Scene, parameters: &[(&str, &str)]) -> String {
    let mut url: Url = format!("{}/oauth/logout", scene.app.issuer)
        .parse()
        .unwrap();
    url.query_pairs_mut()
        .extend_pairs(parameters)
        .append_pair("post_logout_redirect_uri", &scene.site.logged_out())
        .append_pair("state", "af0ifjsldkj");
    url.into()
}

async fn arrived_signed_out(scene: &Scene, browser: &TestBrowser) {
    browser.text_of("arrived").await;
    let mut arrival = scene.site.arrival().await;
    // Of a login before it.
    while arrival.path == "/callback" {
        arrival = scene.site.arrival().await;
    }
    assert_eq!(arrival.path, "/logged-out");
    assert_eq!(arrival.callback.state.as_deref(), Some("af0ifjsldkj"));
}
