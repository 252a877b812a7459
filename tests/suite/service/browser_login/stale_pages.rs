//! Pages that cannot be gone on with say what to do.

use super::Scene;
use crate::harness::browser::TestBrowser;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_cannot_be_gone_on_with_says_what_to_do() {
    let scene = Scene::with(&[("TOKENSMITH_SIGNUP", "true")]).await;
    let client = scene.own_app().await;
    let request = scene.request(&client);
    let mut browser = TestBrowser::open().await;

    scene.arrive(&browser, &request).await;
    let age = "for (const field of document.getElementsByName('request')) field.value = 'too old'";
    browser.execute(age).await;
    scene.sign_in(&browser).await;
    let error = browser.text_of("error").await;
    assert!(error.contains("start again"), "{error}");
    browser.look("page-expired").await;

    scene.arrive(&browser, &request).await;
    browser.delete_cookies().await;
    scene.sign_in(&browser).await;
    let error = browser.text_of("error").await;
    assert!(error.contains("Allow cookies"), "{error}");
    browser.look("page-without-cookies").await;

    scene.arrive(&browser, &request).await;
    let link = "return document.getElementById('sign-up').href";
    let link = browser.execute(link).await;
    browser.delete_cookies().await;
    // To the server this is another browser now, with a name of its own.
    scene.open(&browser, "/login").await;
    browser.goto(link.as_str().unwrap()).await;
    let error = browser.text_of("error").await;
    assert!(error.contains("start again in this browser"), "{error}");
    browser.look("page-of-another-browser").await;

    // Starting again helps, as they say.
    scene.arrive(&browser, &request).await;
    scene.sign_in(&browser).await;
    scene.arrived_with_code(&browser).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_that_lead_nowhere_lead_to_no_other_site() {
    let scene = Scene::new().await;
    let client = scene.own_app().await;
    let mut browser = TestBrowser::open().await;
    let request = scene.request(&client);
    for request in [
        request.clone().with("client_id", "nobody"),
        request.with("redirect_uri", "https://elsewhere.example/callback"),
    ] {
        scene.arrive(&browser, &request).await;
        assert!(browser.url().await.starts_with(&scene.app.issuer));
        let error = browser.text_of("error").await;
        assert!(
            error.contains("Go back to the app and try again"),
            "{error}"
        );
    }
    browser
        .execute("document.querySelector('details').open = true")
        .await;
    browser.look("unknown-app").await;

    scene.open(&browser, "/signup").await;
    let error = browser.text_of("error").await;
    assert!(error.contains("Ask whoever runs this service"), "{error}");
    browser.look("sign-up-closed").await;

    scene.open(&browser, "/no-such-page").await;
    browser.look("not-found").await;
    browser.click("account").await;
    assert_eq!(browser.active_element_id().await, "username");
}
