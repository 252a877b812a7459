//! Item 33: pushed authorization requests (RFC 9126).

use futures_util::future::join_all;
use reqwest::Method;

use super::{AuthorizationRequest, Person, Scene, assert_shown, callback, is_signed_in, refused};
use crate::harness::app::{Reply, TestClient};
use crate::harness::on_every_database;

/// `POST /oauth/par` with the parameters of a request.
async fn push(scene: &Scene, client: &TestClient, request: &AuthorizationRequest) -> Reply {
    let parameters = request.parameters.iter();
    let own = |(name, _): &&(String, String)| name != "client_id";
    let form: Vec<_> = parameters
        .filter(own)
        .map(|(name, value)| (&**name, value))
        .collect();
    scene
        .app
        .send(scene.app.form(client, "/oauth/par", &form))
        .await
}

/// A request that stands for one that was pushed.
pub(super) async fn pushed(scene: &Scene, request: &AuthorizationRequest) -> AuthorizationRequest {
    let reply = push(scene, &scene.shop, request).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    assert_eq!(reply.header("cache-control"), "no-store");
    let name = reply.json()["request_uri"].as_str().unwrap().to_owned();
    by_name(&scene.shop, &name)
}

fn by_name(client: &TestClient, name: &str) -> AuthorizationRequest {
    let parameters = [("client_id", client.id.as_str()), ("request_uri", name)];
    let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned()));
    AuthorizationRequest {
        parameters: parameters.into(),
    }
}

on_every_database! {
    async fn attack_33_a_request_uri_is_good_for_one_answer(database) {
        let scene = Scene::on(database, &[]).await;
        let mut ada = scene.browser_of(&scene.ada).await;
        let own = scene.request();
        let once = pushed(&scene, &own).await;
        let page = scene.app.authorize(&mut ada, &once).await;
        assert!(callback(&page, &own).code.is_some());
        assert_shown(&scene.app.authorize(&mut ada, &once).await, "again");

        // A page may be reloaded; whoever says no has answered.
        let refusable = pushed(&scene, &own.clone().with("prompt", "login")).await;
        let page = scene.app.authorize(&mut ada, &refusable).await;
        assert!(scene.app.authorize(&mut ada, &refusable).await.has_id("cancel"));
        let cancelled = ada.submit(&page, "cancel", &[]).await;
        assert_eq!(callback(&cancelled, &own).error.as_deref(), Some("access_denied"));
        assert_shown(&scene.app.authorize(&mut ada, &refusable).await, "after a refusal");
        let page = scene.app.sign_in(&mut ada, &page, &scene.ada).await;
        assert_shown(&page, "in another tab");
        assert!(is_signed_in(&mut ada).await, "but who has signed in is signed in");

        let silent = pushed(&scene, &own.clone().with("prompt", "none")).await;
        let mut nobody = Person::new(&scene.app);
        let page = scene.app.authorize(&mut nobody, &silent).await;
        assert_eq!(callback(&page, &own).error.as_deref(), Some("login_required"));
        assert_shown(&scene.app.authorize(&mut ada, &silent).await, "after an error");
    }
}

on_every_database! {
    async fn attack_33_a_request_uri_used_many_times_at_once_leads_to_one_code(database) {
        let scene = Scene::on(database, &[]).await;
        let ada = scene.browser_of(&scene.ada).await;
        let own = scene.request();
        let once = pushed(&scene, &own).await;
        let tabs = (0..8).map(|_| {
            let mut tab = Person::new(&scene.app);
            tab.cookies.clone_from(&ada.cookies);
            let (scene, once) = (&scene, &once);
            async move { scene.app.authorize(&mut tab, once).await }
        });
        let pages = join_all(tabs).await;
        let (answered, refused): (Vec<_>, Vec<_>) =
            pages.iter().partition(|page| page.status == 303);
        assert_eq!(answered.len(), 1);
        assert!(callback(answered[0], &own).code.is_some());
        for page in refused {
            assert_shown(page, "the others");
        }
    }
}

#[tokio::test]
async fn attack_33_a_request_uri_is_good_for_a_minute_and_a_half() {
    let scene = Scene::new().await;
    let mut ada = scene.browser_of(&scene.ada).await;
    let reply = push(&scene, &scene.shop, &scene.request()).await;
    assert_eq!(reply.json()["expires_in"], 90);
    let late = pushed(&scene, &scene.request()).await;
    scene
        .database
        .execute("UPDATE pushed_requests SET expires_at = expires_at - 90000")
        .await;
    assert_shown(&scene.app.authorize(&mut ada, &late).await, "expired");
}

#[tokio::test]
async fn attack_33_a_request_uri_is_for_the_client_that_pushed_it() {
    let scene = Scene::new().await;
    let other = scene.app.app_for_people("other", &["--first-party"]).await;
    let mut ada = scene.browser_of(&scene.ada).await;
    let theirs = pushed(&scene, &scene.request()).await;
    let name = theirs.parameter("request_uri").to_owned();
    assert_shown(
        &scene.app.authorize(&mut ada, &by_name(&other, &name)).await,
        "another client",
    );
    let without = theirs.clone().without("client_id");
    assert_shown(
        &scene.app.authorize(&mut ada, &without).await,
        "without a client",
    );
    let prefix = "urn:ietf:params:oauth:request_uri:";
    for forged in [
        format!("{prefix}{}", "A".repeat(43)),
        format!("{name}A"),
        name[..name.len() - 1].to_owned(),
        name.to_uppercase(),
        prefix.to_owned(),
        "urn:x".to_owned(),
        format!("{name}\u{0}"),
    ] {
        let page = scene
            .app
            .authorize(&mut ada, &by_name(&scene.shop, &forged))
            .await;
        assert_shown(&page, &forged);
    }
    let twice = theirs.clone().with_another("request_uri", &name);
    assert_shown(&scene.app.authorize(&mut ada, &twice).await, "twice");
    // None of all that has cost it, and it is what was pushed and nothing beside it.
    let tampered = theirs.with_all(&[
        ("redirect_uri", "https://evil.example/callback"),
        ("scope", "orders:read"),
        ("state", "evil"),
        ("response_mode", "form_post"),
        ("nonce", "evil"),
    ]);
    let page = scene.app.authorize(&mut ada, &tampered).await;
    let answer = callback(&page, &scene.request());
    assert_eq!(answer.state.as_deref(), Some("af0ifjsldkj"));
    let reply = scene.redeem(&scene.shop, answer.code(), &[]).await;
    assert_eq!(reply.json()["scope"], "openid offline_access orders:read");
}

#[tokio::test]
async fn attack_33_what_is_wrong_with_a_request_is_said_when_it_is_pushed() {
    let scene = Scene::new().await;
    let own = scene.request();
    for (name, value, error) in [
        (
            "request_uri",
            "urn:ietf:params:oauth:request_uri:x",
            "invalid_request",
        ),
        ("request_uri", "https://evil.example/r", "invalid_request"),
        ("request", "e30.e30.", "request_not_supported"),
        (
            "redirect_uri",
            "https://evil.example/callback",
            "invalid_request",
        ),
        ("redirect_uri", "", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge", "", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("scope", "tokensmith:admin", "invalid_scope"),
        ("resource", "https://other.example.com", "invalid_target"),
        ("id_token_hint", "e30.e30.", "invalid_request"),
    ] {
        let reply = push(&scene, &scene.shop, &own.clone().with(name, value)).await;
        assert_eq!(reply.error(), refused(error), "{name}={value}");
    }
    let service = scene.app.orders().await;
    let reply = push(&scene, &service, &own).await;
    assert_eq!(
        reply.error(),
        refused("invalid_request"),
        "it has no redirect URI"
    );
}

#[tokio::test]
async fn attack_33_a_request_is_pushed_by_its_client_and_by_post() {
    let scene = Scene::new().await;
    let own = scene.request();
    let denied = (401, "invalid_client".to_owned());
    let nobody = TestClient {
        secret: String::new(),
        ..scene.shop.clone()
    };
    let guessed = TestClient {
        secret: "tss1_guessed".into(),
        ..scene.shop.clone()
    };
    for impostor in [nobody, guessed] {
        assert_eq!(push(&scene, &impostor, &own).await.error(), denied);
    }
    let form = scene
        .app
        .request(Method::POST, "/oauth/par")
        .form(&[("response_type", "code")]);
    assert_eq!(scene.app.send(form).await.error(), denied, "nobody at all");
    let as_another = scene
        .app
        .request(Method::POST, "/oauth/par")
        .basic_auth(&scene.shop.id, Some(&scene.shop.secret))
        .form(&own.clone().with("client_id", "other").parameters);
    assert_eq!(
        scene.app.send(as_another).await.error(),
        refused("invalid_request")
    );
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let reply = scene
            .app
            .send(scene.app.request(method.clone(), "/oauth/par"))
            .await;
        assert_eq!(
            reply.error(),
            (405, "invalid_request".to_owned()),
            "{method}"
        );
    }
    let in_url = scene.app.request(Method::POST, "/oauth/par?scope=openid");
    let in_url = in_url.basic_auth(&scene.shop.id, Some(&scene.shop.secret));
    let in_url = in_url.form(&own.parameters);
    assert_eq!(
        scene.app.send(in_url).await.error(),
        refused("invalid_request")
    );
}

#[tokio::test]
async fn attack_33_a_client_that_has_to_push_gets_nothing_by_another_way() {
    let scene = Scene::new().await;
    let options = ["--first-party", "--require-par"];
    let strict = scene.app.app_for_people("strict", &options).await;
    let mut ada = scene.browser_of(&scene.ada).await;
    let own = AuthorizationRequest::of(&strict);
    for request in [
        own.clone(),
        own.clone().with("request_uri", "https://strict.example/r"),
        own.clone().with("request", "e30.e30."),
        own.clone().with("response_mode", "form_post"),
    ] {
        let answer = scene.answer(&mut ada, &request).await;
        assert_eq!(answer.code, None, "{request:?}");
        assert!(answer.error.is_some(), "{request:?}");
        assert_eq!(answer.iss.as_deref(), Some(&*scene.app.issuer));
    }
    let elsewhere = own
        .clone()
        .with("redirect_uri", "https://evil.example/callback");
    assert_shown(
        &scene.app.authorize(&mut ada, &elsewhere).await,
        "elsewhere",
    );
    let posted = ada
        .cross_site_post("/oauth/authorize", &own.parameters)
        .await;
    let page = ada.follow(posted.location().unwrap().as_str()).await;
    assert_eq!(
        callback(&page, &own).error.as_deref(),
        Some("invalid_request")
    );

    let reply = push(&scene, &strict, &own).await;
    let name = reply.json()["request_uri"].as_str().unwrap().to_owned();
    let page = scene
        .app
        .authorize(&mut ada, &by_name(&strict, &name))
        .await;
    assert!(callback(&page, &own).code.is_some());
}

on_every_database! {
    async fn attack_33_a_public_client_pushes_without_a_row_and_its_name_is_good_for_one_answer(database) {
        let scene = Scene::on(database, &[]).await;
        let phone = scene.app.phone().await;
        let mut ada = scene.browser_of(&scene.ada).await;
        let own = AuthorizationRequest::of(&phone);
        let push_one = async || {
            let reply = push(&scene, &phone, &own).await;
            assert_eq!(reply.status, 201, "{}", reply.text);
            reply.json()["request_uri"].as_str().unwrap().to_owned()
        };
        let name = push_one().await;
        // Whoever pretends to be a phone fills nothing.
        scene.database.execute("DELETE FROM pushed_requests").await;
        let once = by_name(&phone, &name);
        let page = scene.app.authorize(&mut ada, &once).await;
        assert!(callback(&page, &own).code.is_some());
        assert_shown(&scene.app.authorize(&mut ada, &once).await, "again");
        for changed in [name.replace("sealed:", ""), format!("{name}A"), name.replace("sealed:", "sealed:A")] {
            assert_shown(&scene.app.authorize(&mut ada, &by_name(&phone, &changed)).await, &changed);
        }
        let by_another = by_name(&scene.shop, &push_one().await);
        assert_shown(&scene.app.authorize(&mut ada, &by_another).await, "another client's");
    }
}
