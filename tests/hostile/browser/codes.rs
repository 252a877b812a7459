//! Items 24 to 26 and 28: authorization codes, PKCE, client authentication and refresh tokens, with
//! a browser in between.

use futures_util::future::join_all;
use reqwest::Method;

use super::{BRIEF, REDIRECT_URI, Scene, refused};
use crate::harness::app::TestClient;
use crate::harness::login::{Tokens, VERIFIER, s256};
use crate::harness::{Database, on_every_database};

on_every_database! {
    async fn attack_24_a_code_is_good_for_its_client_its_redirect_uri_and_its_verifier(database) {
        let scene = Scene::on(database, &[]).await;
        let other = scene.app.app_for_people("other", &["--first-party"]).await;
        let mut ada = scene.browser_of(&scene.ada).await;
        let sent_to = "http://127.0.0.1:4711/callback";
        let code = scene.code(&mut ada, &[("redirect_uri", sent_to)]).await;
        let invalid = refused("invalid_grant");
        assert_eq!(scene.redeem(&other, &code, &[]).await.error(), invalid, "another client");
        for uri in [
            REDIRECT_URI,
            "http://127.0.0.1:4712/callback",
            "http://127.0.0.1:4711/callback/",
            "http://127.0.0.1:4711/Callback",
            "http://127.0.0.1:4711/callback?",
        ] {
            let reply = scene.redeem(&scene.shop, &code, &[("redirect_uri", uri)]).await;
            assert_eq!(reply.error(), invalid, "{uri}");
        }
        let (long, longer) = ("a".repeat(43), "a".repeat(129));
        for verifier in [long.as_str(), longer.as_str(), &VERIFIER[..42], &s256(VERIFIER)] {
            let reply = scene.redeem(&scene.shop, &code, &[("code_verifier", verifier)]).await;
            assert_eq!(reply.error(), invalid, "{verifier}");
        }
        let without = scene.redeem(&scene.shop, &code, &[("code_verifier", "")]).await;
        assert_eq!(without.error(), refused("invalid_request"), "an empty verifier is none");
        // None of all that has cost it.
        let good = scene.redeem(&scene.shop, &code, &[("redirect_uri", sent_to)]).await;
        assert_eq!(good.status, 200, "{}", good.text);

        let late = scene.code(&mut ada, &[]).await;
        scene
            .database
            .execute("UPDATE authorization_codes SET expires_at = expires_at - 60000")
            .await;
        assert_eq!(scene.redeem(&scene.shop, &late, &[]).await.error(), invalid, "after a minute");
    }
}

on_every_database! {
    async fn attack_24_a_code_redeemed_twice_at_once_has_one_winner_who_loses_all(database) {
        let scene = Scene::on(database, &[]).await;
        let mut ada = scene.browser_of(&scene.ada).await;
        let code = scene.code(&mut ada, &[]).await;
        let all = [(); 8].map(|()| scene.redeem(&scene.shop, &code, &[]));
        let replies = join_all(all).await;
        let winners: Vec<_> = replies.iter().filter(|reply| reply.status == 200).collect();
        assert_eq!(winners.len(), 1);
        for loser in replies.iter().filter(|reply| reply.status != 200) {
            assert_eq!(loser.error(), refused("invalid_grant"));
        }
        let tokens = Tokens::of(winners[0]);
        let refresh = scene.app.refresh(&scene.shop, &tokens.refresh_token, &[]).await;
        assert_eq!(refresh.error(), refused("invalid_grant"));
        let introspected = scene.app.introspect(&scene.shop, &tokens.access_token).await;
        assert_eq!(introspected.json()["active"], false);
    }
}

#[tokio::test]
async fn attack_24_a_code_dies_with_the_login_that_it_was_given_out_under() {
    let scene = Scene::new().await;
    let offline = ("scope", "openid offline_access");
    for scope in [BRIEF, offline] {
        let mut ada = scene.browser_of(&scene.ada).await;
        let code = scene.code(&mut ada, &[scope]).await;
        let page = ada.get("/logout").await;
        assert_eq!(ada.submit(&page, "logout", &[]).await.status, 303);
        let reply = scene.redeem(&scene.shop, &code, &[]).await;
        assert_eq!(reply.error(), refused("invalid_grant"), "{scope:?}");
    }
}

#[tokio::test]
async fn attack_25_pkce_is_neither_plain_nor_missing_nor_malformed() {
    let scene = Scene::new().await;
    let mut ada = scene.browser_of(&scene.ada).await;
    let challenge = s256(VERIFIER);
    let padded = format!("{challenge}=");
    for (name, value) in [
        ("code_challenge_method", "plain"),
        ("code_challenge_method", "s256"),
        ("code_challenge_method", "S512"),
        ("code_challenge_method", ""),
        ("code_challenge", ""),
        ("code_challenge", &challenge[..42]),
        ("code_challenge", &padded),
        (
            "code_challenge",
            "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!",
        ),
    ] {
        let answer = scene
            .answer(&mut ada, &scene.request().with(name, value))
            .await;
        assert_eq!(
            answer.error.as_deref(),
            Some("invalid_request"),
            "{name}={value}"
        );
        assert_eq!(answer.code, None, "{name}={value}");
    }
    let without = scene
        .request()
        .without("code_challenge")
        .without("code_challenge_method");
    let answer = scene.answer(&mut ada, &without).await;
    assert_eq!(
        answer.error.as_deref(),
        Some("invalid_request"),
        "an attacker has stripped both"
    );
}

#[tokio::test]
async fn attack_25_a_verifier_for_a_code_without_challenge_is_a_downgrade() {
    let scene = Scene::new().await;
    let options = ["--first-party", "--pkce", "optional"];
    let old = scene.app.app_for_people("old", &options).await;
    let mut ada = scene.browser_of(&scene.ada).await;
    let own = super::AuthorizationRequest::of(&old);
    let stripped = own
        .clone()
        .without("code_challenge")
        .without("code_challenge_method");
    let code = scene.answer(&mut ada, &stripped).await.code().to_owned();
    let sent_to = ("redirect_uri", REDIRECT_URI);
    let reply = scene.redeem(&old, &code, &[sent_to]).await;
    assert_eq!(reply.error(), refused("invalid_grant"));
    let without = ("code_verifier", "");
    let reply = scene.redeem(&old, &code, &[without]).await;
    assert_eq!(
        reply.error(),
        refused("invalid_grant"),
        "nothing binds it but the redirect URI, which is then not to be left out"
    );
    let reply = scene.redeem(&old, &code, &[without, sent_to]).await;
    assert_eq!(
        reply.status, 200,
        "a client that has never used it: {}",
        reply.text
    );

    let code = scene.answer(&mut ada, &own).await.code().to_owned();
    let reply = scene.redeem(&old, &code, &[("code_verifier", "")]).await;
    assert_eq!(
        reply.error(),
        refused("invalid_request"),
        "who began with it ends with it"
    );
    let half = own.without("code_challenge");
    let answer = scene.answer(&mut ada, &half).await;
    assert_eq!(answer.error.as_deref(), Some("invalid_request"));
}

#[tokio::test]
async fn attack_25_the_verifier_is_not_sent_along_as_state() {
    let scene = Scene::new().await;
    let mut ada = scene.browser_of(&scene.ada).await;
    let answer = scene
        .answer(&mut ada, &scene.request().with("state", VERIFIER))
        .await;
    assert_eq!(answer.error.as_deref(), Some("invalid_request"));
    assert_eq!(answer.code, None);
}

#[tokio::test]
async fn attack_26_a_confidential_client_does_not_pass_for_a_public_one() {
    let scene = Scene::new().await;
    let mut ada = scene.browser_of(&scene.ada).await;
    let code = scene.code(&mut ada, &[]).await;
    let other = scene.app.app_for_people("other", &["--first-party"]).await;
    let nobody = TestClient {
        secret: String::new(),
        ..scene.shop.clone()
    };
    let guessed = TestClient {
        secret: "tss1_guessed".into(),
        ..scene.shop.clone()
    };
    let swapped = TestClient {
        secret: other.secret.clone(),
        ..scene.shop.clone()
    };
    let denied = (401, "invalid_client".to_owned());
    for impostor in [&nobody, &guessed, &swapped] {
        assert_eq!(scene.redeem(impostor, &code, &[]).await.error(), denied);
        let form = scene
            .app
            .form(impostor, "/oauth/par", &[("response_type", "code")]);
        assert_eq!(scene.app.send(form).await.error(), denied);
    }
    let both = scene
        .redeem(&scene.shop, &code, &[("client_secret", &scene.shop.secret)])
        .await;
    assert_eq!(both.error(), refused("invalid_request"));
    let two = scene
        .redeem(&scene.shop, &code, &[("client_id", "other")])
        .await;
    assert_eq!(two.error(), refused("invalid_request"));
    let reply = scene.redeem(&scene.shop, &code, &[]).await;
    let tokens = Tokens::of(&reply);
    assert_eq!(
        scene
            .app
            .refresh(&nobody, &tokens.refresh_token, &[])
            .await
            .error(),
        denied
    );
}

#[tokio::test]
async fn attack_28_after_the_end_of_a_login_nothing_refreshes_that_does_not_outlive_it() {
    let scene = Scene::new().await;
    let mut ada = scene.browser_of(&scene.ada).await;
    let brief = scene.tokens(&mut ada, &[BRIEF]).await;
    let offline = scene.tokens(&mut ada, &[]).await;
    let refresh = async |tokens: &serde_json::Value| {
        let token = tokens["refresh_token"].as_str().unwrap();
        scene.app.refresh(&scene.shop, token, &[]).await
    };
    assert_eq!(refresh(&brief).await.status, 200);
    let page = ada.get("/logout").await;
    ada.submit(&page, "logout", &[]).await;
    assert_eq!(refresh(&brief).await.error(), refused("invalid_grant"));
    assert_eq!(
        refresh(&offline).await.status,
        200,
        "offline_access goes on"
    );

    let mut elsewhere = scene.browser_of(&scene.ada).await;
    let page = elsewhere.get("/account").await;
    let typed = [
        ("current_password", &*scene.ada.password),
        ("new_password", "nine crows at dusk"),
    ];
    let page = elsewhere.submit(&page, "change-password", &typed).await;
    assert_eq!(page.status, 303, "{}", page.text);
    assert_eq!(
        refresh(&offline).await.error(),
        refused("invalid_grant"),
        "a new password"
    );
}

#[tokio::test]
async fn attack_28_a_widened_refresh_gets_no_more_than_was_granted_in_the_browser() {
    let scene = Scene::new().await;
    let mut ada = scene.browser_of(&scene.ada).await;
    let tokens = scene.tokens(&mut ada, &[("scope", "openid")]).await;
    let token = tokens["refresh_token"].as_str().unwrap();
    for (name, value, error) in [
        ("scope", "openid orders:read", "invalid_scope"),
        ("scope", "offline_access", "invalid_scope"),
        ("resource", "https://other.example.com", "invalid_target"),
    ] {
        let reply = scene
            .app
            .refresh(&scene.shop, token, &[(name, value)])
            .await;
        assert_eq!(reply.error(), refused(error), "{value}");
    }
}

#[tokio::test]
async fn attack_28_only_a_refresh_token_refreshes() {
    let scene = Scene::new().await;
    let mut ada = scene.browser_of(&scene.ada).await;
    let tokens = scene.tokens(&mut ada, &[]).await;
    let code = scene.code(&mut ada, &[]).await;
    let cookie = ada.cookie("tokensmith-login").unwrap().value.clone();
    let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
    for wrong in [text("access_token"), text("id_token"), code, cookie] {
        let reply = scene.app.refresh(&scene.shop, &wrong, &[]).await;
        assert_eq!(reply.error(), refused("invalid_grant"), "{wrong}");
    }
    let refresh = text("refresh_token");
    assert_eq!(
        scene.redeem(&scene.shop, &refresh, &[]).await.error(),
        refused("invalid_grant")
    );
    assert_eq!(
        scene.app.refresh(&scene.shop, &refresh, &[]).await.status,
        200
    );
}

#[tokio::test]
async fn attack_28_tokens_of_another_installation_are_worth_nothing() {
    let scene = Scene::new().await;
    let issuer = [("TOKENSMITH_ISSUER", scene.app.issuer.as_str())];
    let stranger = Scene::on(Database::sqlite(), &issuer).await;
    // The stranger's process is elsewhere; for the browser it is the same site.
    let mut mallory = stranger.browser_of(&stranger.ada).await;
    let tokens = stranger.tokens(&mut mallory, &[]).await;
    let token = |name: &str| tokens[name].as_str().unwrap().to_owned();
    let reply = scene
        .app
        .refresh(&scene.shop, &token("refresh_token"), &[])
        .await;
    assert_eq!(reply.error(), refused("invalid_grant"));
    let introspected = scene
        .app
        .introspect(&scene.shop, &token("access_token"))
        .await;
    assert_eq!(introspected.json()["active"], false);
    let access_token = token("access_token");
    let userinfo = scene
        .app
        .request(Method::GET, "/oauth/userinfo")
        .bearer_auth(access_token);
    assert_eq!(
        scene.app.send(userinfo).await.error(),
        (401, "invalid_token".to_owned())
    );
    let mut ada = scene.browser_of(&scene.ada).await;
    let hinted = scene.request().with("id_token_hint", &token("id_token"));
    let answer = scene.answer(&mut ada, &hinted).await;
    assert_eq!(answer.error.as_deref(), Some("invalid_request"));
}
