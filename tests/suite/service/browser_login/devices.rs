//! Where somebody is signed in.

use super::Scene;
use crate::harness::browser::TestBrowser;
use crate::harness::login::{Tokens, VERIFIER};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_are_signed_out_one_by_one_or_all_others_at_once() {
    let scene = Scene::new().await;
    let (mut desk, phone) = TestBrowser::open_two().await;
    scene.open_account(&desk).await;
    scene.open(&desk, "/account/devices").await;
    assert!(!desk.exists("end-others").await);
    desk.look("devices-only-this").await;

    let client = scene.own_app().await;
    scene.arrive(&phone, &scene.request(&client)).await;
    scene.sign_in(&phone).await;
    let code = scene.arrived_with_code(&phone).await.callback;
    Tokens::of(&scene.app.redeem(&client, code.code(), VERIFIER).await);
    scene.open(&desk, "/account/devices").await;
    desk.look("devices").await;

    let other = "return document.querySelector('.device:not(.current) button').id";
    let other = desk.execute(other).await;
    desk.click(other.as_str().unwrap()).await;
    assert_eq!(desk.text_of("notice").await, "Signed out there.");
    scene.open(&phone, "/account").await;
    assert!(phone.exists("password").await, "signed out");

    scene.sign_in(&phone).await;
    desk.reload().await;
    desk.click("end-others").await;
    assert_eq!(
        desk.text_of("notice").await,
        "You are signed out on all other devices."
    );
    phone.reload().await;
    assert!(phone.exists("password").await, "signed out");

    let this = desk
        .execute("return document.querySelector('.device.current button').id")
        .await;
    desk.click(this.as_str().unwrap()).await;
    assert_eq!(desk.text_of("signed-out").await, "You are signed out");
    desk.look("signed-out").await;
    desk.back().await;
    // Chromium keeps the page, and the page sees that it is old.
    desk.text_of("password").await;
    assert!(!desk.exists("logout").await, "no page of the account stays");
    scene.open(&desk, "/account/devices").await;
    scene.sign_in(&desk).await;
    assert!(desk.url().await.ends_with("/account/devices"));
}
