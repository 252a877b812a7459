//! The page on which people look after their account.

use super::Scene;
use crate::harness::browser::TestBrowser;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_is_saved_or_nothing_of_it_is_lost() {
    let scene = Scene::new().await;
    let mut browser = TestBrowser::open().await;
    scene.open_account(&browser).await;
    browser.look("account").await;
    browser.type_into("name", "Ada Lovelace").await;
    browser.type_into("phone", "+44 20 7946 0000").await;
    browser
        .type_into("address", "12 St James’s Square\nLondon")
        .await;
    browser.click("save-profile").await;
    assert_eq!(browser.text_of("notice").await, "Your profile is saved.");
    let address = "return document.getElementById('address').value";
    assert_eq!(
        browser.execute(address).await,
        "12 St James’s Square\nLondon"
    );
    browser.look("account-saved").await;

    browser.type_into("phone", &"7".repeat(201)).await;
    browser.type_into("name", "Ada").await;
    browser.click("save-profile").await;
    assert!(browser.title().await.starts_with("Error: "));
    assert_eq!(browser.active_element_id().await, "phone");
    let typed = "return [document.getElementById('name').value, document.getElementById('phone').value.length]";
    assert_eq!(
        browser.execute(typed).await,
        serde_json::json!(["Ada", 201])
    );
    browser.look("account-refused").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_password_ends_every_other_device() {
    let scene = Scene::new().await;
    let (mut desk, phone) = TestBrowser::open_two().await;
    scene.open_account(&desk).await;
    scene.open_account(&phone).await;
    let filled_in = "return ['current-password', 'new-password'].map((id) => document.getElementById(id).autocomplete)";
    let filled_in = desk.execute(filled_in).await;
    assert_eq!(
        filled_in,
        serde_json::json!(["current-password", "new-password"])
    );

    desk.type_into("current-password", "seven herons at dusk")
        .await;
    desk.type_into("new-password", "nine otters on a raft")
        .await;
    desk.click("change-password").await;
    assert_eq!(
        desk.text_of("current-password-error").await,
        "That is not your current password"
    );
    assert_eq!(desk.active_element_id().await, "current-password");
    desk.look("password-refused").await;

    desk.type_into("current-password", &scene.ada.password)
        .await;
    desk.type_into("new-password", "nine otters on a raft")
        .await;
    desk.click("change-password").await;
    assert!(
        desk.text_of("notice")
            .await
            .starts_with("Your password is changed")
    );

    phone.type_into("name", "Not Ada").await;
    phone.click("save-profile").await;
    assert_eq!(phone.active_element_id().await, "username", "signed out");
    phone.type_into("username", "ada").await;
    phone.type_into("password", "nine otters on a raft").await;
    phone.click("submit").await;
    assert_eq!(
        phone
            .execute("return document.getElementById('name').value")
            .await,
        ""
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_allowed_is_taken_back() {
    let scene = Scene::new().await;
    let client = scene.foreign_app().await;
    let request = scene.request(&client);
    let mut browser = TestBrowser::open().await;
    scene.arrive(&browser, &request).await;
    scene.sign_in(&browser).await;
    browser.click("allow").await;
    scene.arrived_with_code(&browser).await;

    scene.open(&browser, "/account").await;
    browser.look("account-with-app").await;
    browser.click("revoke-recipes").await;
    assert_eq!(
        browser.text_of("notice").await,
        "The app no longer has access to your account."
    );
    assert!(!browser.exists("revoke-recipes").await);

    scene.arrive(&browser, &request).await;
    assert!(browser.exists("allow").await, "asked again");
}
