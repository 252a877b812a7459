//! A name and a password.

use super::Scene;
use crate::harness::browser::TestBrowser;
use crate::harness::login::{Tokens, VERIFIER, claims};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_signs_in_and_is_back_at_the_app_signed_in() {
    let scene = Scene::new().await;
    let client = scene.own_app().await;
    let request = scene.request(&client);
    let mut browser = TestBrowser::open().await;
    scene.arrive(&browser, &request).await;
    assert_eq!(browser.title().await, "Sign in – Tokensmith");
    browser.look("login").await;
    assert_eq!(browser.active_element_id().await, "username");
    let filled_in =
        "return ['username', 'password'].map((id) => document.getElementById(id).autocomplete)";
    let filled_in = browser.execute(filled_in).await;
    assert_eq!(
        filled_in,
        serde_json::json!(["username", "current-password"])
    );

    scene.sign_in(&browser).await;
    let arrival = scene.arrived_with_code(&browser).await;
    let callback = arrival.callback;
    assert_eq!(
        (arrival.method.as_str(), arrival.referer.as_str()),
        ("GET", "")
    );
    assert_eq!(callback.state.as_deref(), Some(request.parameter("state")));
    assert_eq!(callback.iss.as_deref(), Some(&*scene.app.issuer));
    let reply = scene.app.redeem(&client, callback.code(), VERIFIER).await;
    Tokens::of(&reply);
    let id_token = claims(reply.json()["id_token"].as_str().unwrap());
    assert_eq!(id_token["sub"], scene.ada.id);
    assert_eq!(id_token["nonce"], request.parameter("nonce"));

    let cookies = browser.cookies().await;
    assert!(!cookies.is_empty());
    for cookie in cookies {
        assert!(cookie.http_only, "{cookie:?}");
        assert_eq!((&*cookie.same_site, &*cookie.path), ("Lax", "/"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_wrong_password_only_the_password_is_typed_again() {
    let scene = Scene::new().await;
    let client = scene.own_app().await;
    let mut browser = TestBrowser::open().await;
    scene.arrive(&browser, &scene.request(&client)).await;
    browser.type_into("username", "ada").await;
    browser.type_into("password", "seven herons at dusk").await;
    browser.click("submit").await;
    assert!(browser.title().await.starts_with("Error: "));
    let message = browser.text_of("error").await;
    assert!(
        message.starts_with("That username and password do not match."),
        "{message}"
    );
    assert_eq!(browser.active_element_id().await, "password");
    assert_eq!(values(&browser).await, ["ada", ""]);
    browser.look("login-refused").await;

    // Browsers do not send a form with empty fields; others do.
    browser
        .execute("document.querySelector('form:has(#password)').noValidate = true")
        .await;
    browser.type_into("username", "").await;
    browser.click("submit").await;
    assert_eq!(
        browser.text_of("username-error").await,
        "Enter your username or email"
    );
    assert_eq!(
        browser.text_of("password-error").await,
        "Enter your password"
    );
    assert_eq!(browser.active_element_id().await, "username");
    browser.look("login-incomplete").await;

    // Of somebody else, so that Ada need not wait.
    let mut message = String::new();
    for _ in 0..8 {
        browser.type_into("username", "bob").await;
        browser.type_into("password", "seven herons at noon").await;
        browser.click("submit").await;
        message = browser.text_of("error").await;
        if message.starts_with("Too many attempts. Please wait ") {
            break;
        }
    }
    assert!(message.starts_with("Too many attempts"), "{message}");
    assert_eq!(values(&browser).await, ["bob", ""]);
    browser.look("login-slowed-down").await;

    scene.sign_in(&browser).await;
    scene.arrived_with_code(&browser).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keyboard_is_enough_to_cancel_or_to_sign_in() {
    let scene = Scene::with(&[("TOKENSMITH_SIGNUP", "true")]).await;
    let client = scene.own_app().await;
    let browser = TestBrowser::open().await;
    scene.arrive(&browser, &scene.request(&client)).await;
    let mut order = Vec::new();
    for _ in 0..5 {
        let focused = browser.active_element_id().await;
        let visible = "const style = getComputedStyle(document.activeElement);
            return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2";
        assert_eq!(
            browser.execute(visible).await,
            true,
            "the focus on {focused}"
        );
        order.push(focused);
        browser.press_tab().await;
    }
    assert_eq!(
        order,
        ["username", "password", "submit", "cancel", "sign-up"]
    );

    browser
        .execute("document.getElementById('cancel').focus()")
        .await;
    browser.press_enter().await;
    browser.text_of("arrived").await;
    let callback = scene.site.arrival().await.callback;
    assert_eq!(callback.error.as_deref(), Some("access_denied"));

    scene.arrive(&browser, &scene.request(&client)).await;
    browser.type_keys("ada").await;
    browser.press_tab().await;
    browser.type_keys(&scene.ada.password).await;
    browser.press_enter().await;
    scene.arrived_with_code(&browser).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tabs_that_show_the_login_page_both_lead_back() {
    let scene = Scene::new().await;
    let client = scene.own_app().await;
    let (one, two) = (
        scene.request(&client).with("state", "one"),
        scene.request(&client).with("state", "two"),
    );
    let browser = TestBrowser::open().await;
    scene.arrive(&browser, &one).await;
    let first = browser.tab().await;
    browser.new_tab().await;
    scene.arrive(&browser, &two).await;
    scene.sign_in(&browser).await;
    let arrival = scene.arrived_with_code(&browser).await;
    assert_eq!(arrival.callback.state.as_deref(), Some("two"));

    browser.switch_to(&first).await;
    scene.sign_in(&browser).await;
    let arrival = scene.arrived_with_code(&browser).await;
    assert_eq!(arrival.callback.state.as_deref(), Some("one"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_login_serves_two_apps_unless_they_ask_again() {
    let scene = Scene::new().await;
    let one = scene.own_app().await;
    let arguments = ["--public", "--first-party", "--name", "Cellar"];
    let two = scene.app.app_for_people("cellar", &arguments).await;
    let mut browser = TestBrowser::open().await;
    scene.arrive(&browser, &scene.request(&one)).await;
    scene.sign_in(&browser).await;
    scene.arrived_with_code(&browser).await;

    scene.arrive(&browser, &scene.request(&two)).await;
    scene.arrived_with_code(&browser).await;

    let request = scene.request(&two).with("prompt", "select_account");
    scene.arrive(&browser, &request).await;
    let button = browser.text_of("continue").await;
    assert!(
        button.contains("Continue as") && button.contains("ada"),
        "{button}"
    );
    browser.look("choose-account").await;
    browser.click("continue").await;
    scene.arrived_with_code(&browser).await;

    let request = scene.request(&two).with("prompt", "login");
    scene.arrive(&browser, &request).await;
    assert!(browser.title().await.starts_with("Confirm it’s you"));
    assert_eq!(values(&browser).await, ["ada", ""]);
    assert_eq!(browser.active_element_id().await, "password");
    browser.look("login-again").await;
    browser.type_into("password", &scene.ada.password).await;
    browser.click("submit").await;
    scene.arrived_with_code(&browser).await;
}

/// What the fields of the login page hold.
async fn values(browser: &TestBrowser) -> Vec<String> {
    let values = "return ['username', 'password'].map((id) => document.getElementById(id).value)";
    serde_json::from_value(browser.execute(values).await).unwrap()
}
