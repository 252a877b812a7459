//! Items 18, 30 and 34 where logins in a browser add to them: a token of one kind offered as one of
//! another.

use reqwest::Method;
use serde_json::Value;

use super::{BRIEF, Scene, assert_shown, is_signed_in};
use crate::harness::TestApp;
use crate::harness::app::Reply;
use crate::harness::client_site::ClientSite;
use crate::harness::login::claims;

async fn userinfo(app: &TestApp, token: &str) -> Reply {
    app.send(
        app.request(Method::GET, "/oauth/userinfo")
            .bearer_auth(token),
    )
    .await
}

/// One of each kind that is no access token of a person.
async fn others(scene: &Scene, tokens: &Value) -> Vec<(&'static str, String)> {
    let mut ada = scene.browser_of(&scene.ada).await;
    let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
    vec![
        ("a refresh token", text("refresh_token")),
        ("an ID token", text("id_token")),
        ("a code", scene.code(&mut ada, &[]).await),
        (
            "a cookie",
            ada.cookie("tokensmith-login").unwrap().value.clone(),
        ),
        (
            "the name of a browser",
            ada.cookie("tokensmith-browser").unwrap().value.clone(),
        ),
        ("a client secret", scene.shop.secret.clone()),
    ]
}

#[tokio::test]
async fn attack_18_userinfo_takes_access_tokens_of_people_only() {
    let scene = Scene::new().await;
    let mut ada = scene.browser_of(&scene.ada).await;
    let tokens = scene.tokens(&mut ada, &[]).await;
    let good = tokens["access_token"].as_str().unwrap();
    assert_eq!(
        userinfo(&scene.app, good).await.json()["sub"],
        scene.ada.id.as_str()
    );
    let denied = (401, "invalid_token".to_owned());
    for (kind, token) in others(&scene, &tokens).await {
        assert_eq!(userinfo(&scene.app, &token).await.error(), denied, "{kind}");
    }
    let service = scene.app.orders().await;
    let token = scene.app.access_token(&service).await;
    assert_eq!(
        userinfo(&scene.app, &token).await.error(),
        denied,
        "of a service"
    );

    let without = scene.tokens(&mut ada, &[("scope", "orders:read")]).await;
    assert_eq!(without.get("id_token"), None);
    let reply = userinfo(&scene.app, without["access_token"].as_str().unwrap()).await;
    assert_eq!(reply.error(), (403, "insufficient_scope".to_owned()));
    let brief = scene.tokens(&mut ada, &[BRIEF]).await;
    let page = ada.get("/logout").await;
    ada.submit(&page, "logout", &[]).await;
    let reply = userinfo(&scene.app, brief["access_token"].as_str().unwrap()).await;
    assert_eq!(reply.error(), denied, "after the logout");
}

#[tokio::test]
async fn attack_18_userinfo_takes_a_token_in_one_place_and_never_in_the_url() {
    let scene = Scene::new().await;
    let mut ada = scene.browser_of(&scene.ada).await;
    let tokens = scene.tokens(&mut ada, &[]).await;
    let token = tokens["access_token"].as_str().unwrap();
    let in_url = format!("/oauth/userinfo?access_token={token}");
    let get = scene
        .app
        .send(scene.app.request(Method::GET, &in_url))
        .await;
    assert_eq!(get.status, 401, "{}", get.text);
    let post = scene.app.request(Method::POST, &in_url).form(&[("x", "y")]);
    assert_eq!(scene.app.send(post).await.status, 400);
    let form = [("access_token", token)];
    let post = || scene.app.request(Method::POST, "/oauth/userinfo");
    let both = scene.app.send(post().form(&form).bearer_auth(token)).await;
    assert_eq!(both.error(), (400, "invalid_request".to_owned()));
    let twice = scene.app.send(post().form(&[form[0], form[0]])).await;
    assert_eq!(twice.status, 400);
    let json = post().header("content-type", "application/json");
    let json = json.body(format!(r#"{{"access_token":"{token}"}}"#));
    assert_eq!(scene.app.send(json).await.status, 401);
    let cookies: Vec<_> = ada
        .cookies
        .iter()
        .map(|it| format!("{}={}", it.name, it.value))
        .collect();
    let by_cookie = scene.app.request(Method::GET, "/oauth/userinfo");
    let by_cookie = by_cookie.header("cookie", cookies.join("; "));
    assert_eq!(scene.app.send(by_cookie).await.status, 401);
    assert_eq!(scene.app.send(post().form(&form)).await.status, 200);
}

#[tokio::test]
async fn attack_18_an_id_token_is_no_access_token_anywhere() {
    let scene = Scene::new().await;
    let mut ada = scene.browser_of(&scene.ada).await;
    let tokens = scene.tokens(&mut ada, &[]).await;
    for (kind, token) in others(&scene, &tokens).await {
        for path in ["", "/sessions"] {
            let reply = scene.app.me(&token, Method::GET, path, None).await;
            assert_eq!(
                reply.error(),
                (401, "invalid_token".to_owned()),
                "{kind} at /api/me{path}"
            );
        }
        let reply = scene.app.admin(&token, Method::GET, "/users", None).await;
        assert_eq!(
            reply.error(),
            (401, "invalid_token".to_owned()),
            "{kind} at /api/admin"
        );
        if kind != "a refresh token" {
            let introspected = scene.app.introspect(&scene.shop, &token).await;
            assert_eq!(introspected.json()["active"], false, "{kind}");
        }
    }
    // Revoking one does nothing either.
    let id_token = tokens["id_token"].as_str().unwrap();
    scene.app.revoke(&scene.shop, id_token).await;
    let reply = userinfo(&scene.app, tokens["access_token"].as_str().unwrap()).await;
    assert_eq!(reply.status, 200);
    let cookie = ada.cookie("tokensmith-login").unwrap().value.clone();
    let by_cookie = scene.app.request(Method::GET, "/api/me");
    let by_cookie = by_cookie.header("cookie", format!("tokensmith-login={cookie}"));
    assert_eq!(
        scene.app.send(by_cookie).await.status,
        401,
        "and a cookie opens no API"
    );
}

#[tokio::test]
async fn attack_18_a_hint_is_an_id_token_and_an_id_token_is_all_that_a_hint_is() {
    let scene = Scene::with(&[("TOKENSMITH_PRIVATE_RECEIVERS", "127.0.0.0/8")]).await;
    let site = ClientSite::start();
    let receiver = site.backchannel();
    let told = ["--first-party", "--backchannel-logout-uri", &receiver];
    let told = scene.app.app_for_people("told", &told).await;
    let mut other = scene.browser_of(&scene.ada).await;
    scene
        .app
        .code_in_browser(&mut other, &told, &scene.ada, &[BRIEF])
        .await;
    let callback = scene
        .app
        .code_in_browser(&mut other, &told, &scene.ada, &[BRIEF])
        .await;
    scene.redeem(&told, callback.code(), &[]).await;
    let page = other.get("/logout").await;
    other.submit(&page, "logout", &[]).await;
    let logout_token = site.logout_token().await;

    let mut ada = scene.browser_of(&scene.ada).await;
    let tokens = scene.tokens(&mut ada, &[]).await;
    let id_token = tokens["id_token"].as_str().unwrap().to_owned();
    let parts: Vec<&str> = id_token.split('.').collect();
    let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", parts[1]);
    let resigned = format!("{}.{}.{}", parts[0], parts[1], "A".repeat(parts[2].len()));
    let mut wrong = others(&scene, &tokens).await;
    wrong.retain(|(kind, _)| *kind != "an ID token");
    wrong.push((
        "an access token",
        tokens["access_token"].as_str().unwrap().to_owned(),
    ));
    wrong.push(("a logout token", logout_token.clone()));
    wrong.push(("unsigned", unsigned));
    wrong.push(("without a good signature", resigned));
    wrong.push((
        "of another header",
        format!("{}.{}.{}", "e30", parts[1], parts[2]),
    ));
    for (kind, hint) in wrong {
        let answer = scene
            .answer(&mut ada, &scene.request().with("id_token_hint", &hint))
            .await;
        assert_eq!(answer.error.as_deref(), Some("invalid_request"), "{kind}");
        let page = ada
            .cross_site_get(&format!("/oauth/logout?id_token_hint={hint}"))
            .await;
        assert_shown(&page, kind);
    }
    // Nor does one client use what another got.
    let theirs = super::AuthorizationRequest::of(&told).with("id_token_hint", &id_token);
    let answer = scene.answer(&mut ada, &theirs).await;
    assert_eq!(answer.error.as_deref(), Some("invalid_request"));
    assert!(is_signed_in(&mut ada).await);

    for (name, token) in [
        ("userinfo", &logout_token),
        ("as refresh token", &logout_token),
    ] {
        assert_eq!(userinfo(&scene.app, token).await.status, 401, "{name}");
    }
    assert_eq!(
        scene.app.introspect(&told, &logout_token).await.json()["active"],
        false
    );
    let header = logout_token.split('.').next().unwrap();
    assert_eq!(claims(&format!(".{header}"))["typ"], "logout+jwt");
    assert_eq!(claims(&logout_token).get("nonce"), None);
}
