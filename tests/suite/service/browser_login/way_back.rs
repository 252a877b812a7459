//! The way back to the app, and the button "back".

use serde_json::json;

use super::Scene;
use crate::harness::browser::TestBrowser;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn back_from_the_app_leads_to_no_old_form() {
    let scene = Scene::new().await;
    let client = scene.foreign_app().await;
    let browser = TestBrowser::open().await;
    scene.arrive(&browser, &scene.request(&client)).await;
    scene.sign_in(&browser).await;

    // Back from the question: not to the password, which was right.
    browser.back().await;
    assert!(!browser.exists("password").await);
    browser.click("allow").await;
    scene.arrived_with_code(&browser).await;

    // Back from the app: a browser may still have the question, which can be answered again.
    browser.back().await;
    if browser.exists("allow").await {
        browser.click("allow").await;
    }
    scene.arrived_with_code(&browser).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_takes_the_answer_back_by_itself_or_has_a_button_where_scripts_are_off() {
    let scene = Scene::new().await;
    // On a site that is not the service's.
    let callback = format!("{}/callback", scene.site.foreign_address);
    let mut arguments = vec!["--public", "--first-party", "--name", "Larder"];
    arguments.extend(["--redirect-uri", &callback]);
    let client = scene.app.app_for_people("larder", &arguments).await;
    let request = scene.request(&client).with("redirect_uri", &callback);
    let request = request.with("response_mode", "form_post");
    let mut browser = TestBrowser::open().await;
    scene.arrive(&browser, &request).await;
    scene.sign_in(&browser).await;
    let arrival = scene.arrived_with_code(&browser).await;
    assert_eq!(arrival.method, "POST");
    assert_eq!(arrival.callback.iss.as_deref(), Some(&*scene.app.issuer));

    let scripts_off = json!({ "value": true });
    browser
        .devtools("Emulation.setScriptExecutionDisabled", scripts_off)
        .await;
    scene.arrive(&browser, &request).await;
    assert_eq!(browser.text_of("submit").await, "Continue");
    browser.look("form-post").await;
    browser.click("submit").await;
    assert_eq!(scene.arrived_with_code(&browser).await.method, "POST");
}
