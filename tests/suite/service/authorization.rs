//! The authorization endpoint beyond what certification asks for.

use crate::harness::authorize::AuthorizationRequest;
use crate::harness::person::Person;
use crate::harness::{Database, TestApp};

#[tokio::test]
async fn who_is_asked_to_make_an_account_and_has_one_can_sign_in() {
    let database = Database::sqlite();
    let app = TestApp::start_with(&database, &[("TOKENSMITH_SIGNUP", "true")]).await;
    let (phone, ada) = (app.phone().await, app.user("ada").await);
    let request = AuthorizationRequest::of(&phone).with("prompt", "create");
    let mut person = Person::new(&app);
    let page = app.authorize(&mut person, &request).await;
    assert!(
        page.has_id("email"),
        "the page that makes one: {}",
        page.text
    );
    let log_in = page.attribute_of_id("log-in", "href").unwrap();
    let page = person.get(&log_in).await;
    assert!(!page.has_id("email"), "{}", page.text);
    let page = app.sign_in(&mut person, &page, &ada).await;
    assert!(page.header("location").contains("code="), "{}", page.text);
}

#[tokio::test]
async fn only_where_people_can_sign_up_is_that_offered_to_clients() {
    let database = Database::sqlite();
    for (signup, offered) in [("true", true), ("false", false)] {
        let app = TestApp::start_with(&database, &[("TOKENSMITH_SIGNUP", signup)]).await;
        let metadata = app.get("/.well-known/openid-configuration").await.json();
        let prompts = metadata["prompt_values_supported"].as_array().unwrap();
        assert_eq!(prompts.iter().any(|prompt| prompt == "create"), offered);
    }
}

#[tokio::test]
async fn a_request_about_somebody_else_says_so() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let (phone, ada, bob) = (
        app.phone().await,
        app.user("ada").await,
        app.user("bob").await,
    );
    let mut person = Person::new(&app);
    let page = person.get("/login").await;
    app.sign_in(&mut person, &page, &ada).await;
    let about_bob = format!(r#"{{"id_token":{{"sub":{{"value":"{}"}}}}}}"#, bob.id);
    let request = AuthorizationRequest::of(&phone).with("claims", &about_bob);
    let page = app.authorize(&mut person, &request).await;
    let said = page.text_of_id("error").unwrap();
    assert!(said.contains("another account"), "{said}");
    let page = app.sign_in(&mut person, &page, &bob).await;
    assert!(page.header("location").contains("code="), "{}", page.text);
}
