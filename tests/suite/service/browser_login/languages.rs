//! The pages in the language of the person.

use super::Scene;
use crate::harness::browser::TestBrowser;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_speak_german_to_a_german_browser() {
    let scene = Scene::with(&[("TOKENSMITH_SIGNUP", "true")]).await;
    let client = scene.foreign_app().await;
    let mut browser = TestBrowser::open_with_language("de").await;
    scene.arrive(&browser, &scene.request(&client)).await;
    assert_eq!(browser.title().await, "Anmelden – Tokensmith");
    browser.look("login-german").await;
    scene.sign_in(&browser).await;
    assert_eq!(language(&browser).await, "de");
    browser.look("consent-german").await;
    browser.click("allow").await;
    scene.arrived_with_code(&browser).await;
    for (path, name) in [
        ("/account", "account-german"),
        ("/account/devices", "devices-german"),
    ] {
        scene.open(&browser, path).await;
        assert_eq!(language(&browser).await, "de");
        browser.look(name).await;
    }
    scene.open(&browser, "/signup").await;
    browser.look("sign-up-german").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_asks_for_german_gets_german_on_every_page() {
    let scene = Scene::new().await;
    let client = scene.foreign_app().await;
    let browser = TestBrowser::open().await;
    let request = scene.request(&client).with("ui_locales", "fr-CA de");
    scene.arrive(&browser, &request).await;
    assert_eq!(language(&browser).await, "de");
    browser.type_into("username", "ada").await;
    browser.type_into("password", "falsch").await;
    browser.click("submit").await;
    assert_eq!(browser.title().await, "Fehler: Anmelden – Tokensmith");
    scene.sign_in(&browser).await;
    assert_eq!(language(&browser).await, "de");
    assert!(browser.exists("allow").await);
}

async fn language(browser: &TestBrowser) -> String {
    let language = browser
        .execute("return document.documentElement.lang")
        .await;
    language.as_str().unwrap().to_owned()
}
