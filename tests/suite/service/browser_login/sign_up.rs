//! New accounts.

use super::Scene;
use crate::harness::browser::TestBrowser;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_new_makes_an_account_and_loses_nothing_to_a_mistake() {
    let scene = Scene::with(&[("TOKENSMITH_SIGNUP", "true")]).await;
    let client = scene.own_app().await;
    let mut browser = TestBrowser::open().await;
    scene.arrive(&browser, &scene.request(&client)).await;
    browser.click("sign-up").await;
    assert_eq!(browser.title().await, "Create your account – Tokensmith");
    assert_eq!(browser.active_element_id().await, "username");
    browser.look("sign-up").await;
    let filled_in = "return ['username', 'email', 'password'].map((id) => document.getElementById(id).autocomplete)";
    let filled_in = browser.execute(filled_in).await;
    assert_eq!(
        filled_in,
        serde_json::json!(["username", "email", "new-password"])
    );

    fill(&browser, ["ada", "grace@example", "short"]).await;
    browser.click("submit").await;
    assert!(browser.title().await.starts_with("Error: "));
    assert_eq!(values(&browser).await, ["ada", "grace@example", ""]);
    browser.look("sign-up-refused").await;

    fill(
        &browser,
        ["ada", "grace@example.com", "nine otters on a raft"],
    )
    .await;
    browser.click("submit").await;
    let message = browser.text_of("error").await;
    assert!(
        message.contains("already belongs to an account"),
        "{message}"
    );
    assert_eq!(values(&browser).await, ["ada", "grace@example.com", ""]);
    assert_eq!(browser.active_element_id().await, "username");
    browser.look("sign-up-taken").await;

    fill(
        &browser,
        ["grace", "grace@example.com", "nine otters on a raft"],
    )
    .await;
    browser.click("submit").await;
    scene.arrived_with_code(&browser).await;

    scene.open(&browser, "/account").await;
    let facts = browser
        .execute("return document.querySelector('.facts').innerText")
        .await;
    let facts = facts.as_str().unwrap();
    assert!(
        facts.contains("grace") && facts.contains("grace@example.com"),
        "{facts}"
    );
    browser.look("account-new").await;
}

const FIELDS: [&str; 3] = ["username", "email", "password"];

async fn fill(browser: &TestBrowser, typed: [&str; 3]) {
    for (id, typed) in FIELDS.iter().zip(typed) {
        browser.type_into(id, typed).await;
    }
}

async fn values(browser: &TestBrowser) -> Vec<String> {
    let values =
        "return ['username', 'email', 'password'].map((id) => document.getElementById(id).value)";
    serde_json::from_value(browser.execute(values).await).unwrap()
}
