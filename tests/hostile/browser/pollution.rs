//! Items 31 and 32: parameters twice, too many, too long, and in no encoding; scopes and resources
//! that nobody granted.

use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE};

use super::pushed::pushed;
use super::{AuthorizationRequest, Scene, assert_shown, callback, refused};
use crate::harness::login::claims;
use crate::harness::person::Page;

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn attack_31_a_parameter_that_is_there_twice_is_refused() {
    let scene = Scene::new().await;
    let mut ada = scene.browser_of(&scene.ada).await;
    for name in ["client_id", "redirect_uri"] {
        let same = scene.request().parameter(name).to_owned();
        for value in [same.as_str(), "https://evil.example/callback"] {
            let request = scene.request().with_another(name, value);
            let page = scene.app.authorize(&mut ada, &request).await;
            assert_shown(&page, &format!("{name}={value}"));
            let page = ada
                .cross_site_post("/oauth/authorize", &request.parameters)
                .await;
            let page = ada.follow(page.location().unwrap().as_str()).await;
            assert_shown(&page, &format!("posted {name}={value}"));
        }
    }
    for (name, value) in [
        ("response_type", "code"),
        ("response_mode", "query"),
        ("scope", "openid"),
        ("state", "another"),
        ("nonce", "another"),
        ("prompt", "none"),
        ("max_age", "1"),
        ("claims", "{}"),
        ("login_hint", "ada"),
        ("ui_locales", "de"),
        ("id_token_hint", "x"),
        ("code_challenge", "x"),
        ("code_challenge_method", "plain"),
    ] {
        let (first, own) = (scene.request().parameter(name).to_owned(), scene.request());
        let first = if first.is_empty() { value } else { &first };
        for other in [value, first] {
            let request = own.clone().with(name, first).with_another(name, other);
            let answer = scene.answer(&mut ada, &request).await;
            assert_eq!(answer.error.as_deref(), Some("invalid_request"), "{name}");
            assert_eq!(answer.code, None, "{name}");
            let states = answer.parameters.iter().filter(|(name, _)| name == "state");
            assert_eq!(states.count(), 1, "{name}");
        }
    }
    // Where parameters have to stand in a form, none may be there twice at all.
    for name in ["client_id", "redirect_uri", "scope", "state", "x"] {
        let mut form: Vec<(&str, &str)> = vec![("response_type", "code")];
        form.extend([(name, "a"), (name, "a")]);
        let reply = scene
            .app
            .send(scene.app.form(&scene.shop, "/oauth/par", &form))
            .await;
        assert_eq!(reply.error(), refused("invalid_request"), "{name}");
    }
}

#[tokio::test]
async fn attack_31_a_parameter_without_a_value_is_none_and_its_twin_does_not_hide_it() {
    let scene = Scene::new().await;
    let mut ada = scene.browser_of(&scene.ada).await;
    let request = scene
        .request()
        .with_another("client_id", "")
        .with_another("state", "");
    let answer = scene.answer(&mut ada, &request).await;
    assert_eq!(answer.state.as_deref(), Some("af0ifjsldkj"));
    assert!(answer.code.is_some());
    let empty = scene.request().with("client_id", "");
    assert_shown(&scene.app.authorize(&mut ada, &empty).await, "no client_id");
}

/// The query of a complete request, with something after it.
fn query(scene: &Scene, more: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(&scene.request().parameters)
        .finish();
    format!("/oauth/authorize?{query}{more}")
}

/// So many parameters that mean nothing.
fn parameters(count: usize) -> String {
    let all: Vec<String> = (0..count).map(|number| format!("&p{number}=1")).collect();
    all.concat()
}

#[tokio::test]
async fn attack_31_what_cannot_be_read_is_shown() {
    let scene = Scene::new().await;
    let many = parameters(25);
    for more in [
        "&x=%",
        "&x=%4",
        "&x=%zz",
        "&x=%ff",
        "&x=%c3%28",
        "&%ff=x",
        "&x=%ed%a0%80",
        &many,
    ] {
        let reply = scene
            .app
            .send(
                scene
                    .app
                    .request(Method::GET, &query(&scene, more))
                    .header(ACCEPT, "text/html"),
            )
            .await;
        assert_eq!(reply.status, 400, "{more}");
        assert_eq!(reply.header("location"), "", "{more}");
        assert!(
            reply.text.contains("id=\"error\""),
            "{more}: {}",
            reply.text
        );
        let with_path = query(&scene, more);
        let (_path, body) = with_path.split_once('?').unwrap();
        for path in [
            "/oauth/authorize",
            "/oauth/logout",
            "/login",
            "/consent",
            "/oauth/par",
        ] {
            let post = scene
                .app
                .request(Method::POST, path)
                .header(CONTENT_TYPE, FORM);
            let reply = scene.app.send(post.body(body.to_owned())).await;
            assert_eq!(reply.status, 400, "{path} {more}: {}", reply.text);
            assert_eq!(reply.header("location"), "", "{path} {more}");
        }
    }
    let enough = parameters(24);
    let reply = scene.app.get(&query(&scene, &enough)).await;
    assert_eq!(reply.status, 200, "thirty-two may be there: {}", reply.text);
}

#[tokio::test]
async fn attack_31_no_length_costs_much_or_comes_far() {
    let scene = Scene::new().await;
    let mut ada = scene.browser_of(&scene.ada).await;
    let long = "a".repeat(5_000);
    for name in [
        "state",
        "scope",
        "nonce",
        "login_hint",
        "claims",
        "ui_locales",
        "x",
    ] {
        let answer = scene
            .answer(&mut ada, &scene.request().with(name, &long))
            .await;
        let error = answer.error.as_deref();
        assert_eq!(error, Some("invalid_request"), "{name}: {answer:?}");
    }
    let page = scene
        .app
        .authorize(&mut ada, &scene.request().with("redirect_uri", &long))
        .await;
    assert_shown(&page, "a long redirect_uri");

    let huge = "a ".repeat(500_000);
    let form = scene.request().with("scope", &huge);
    for path in ["/oauth/authorize", "/login", "/oauth/logout"] {
        let page = ada.post_form(path, &form.parameters).await;
        assert_eq!(page.status, 413, "{path}: {}", page.text);
        assert!(page.has_id("error"), "{path}");
    }
    let pushed = scene
        .app
        .form(&scene.shop, "/oauth/par", &[("scope", huge.as_str())]);
    assert_eq!(
        scene.app.send(pushed).await.error(),
        (413, "invalid_request".to_owned())
    );
    // The server may well hang up on such a line.
    let url = scene.request().with("scope", &huge).url(&scene.app);
    let got = reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .get(url)
        .send()
        .await;
    if let Ok(response) = got {
        assert!(response.status().is_client_error(), "{}", response.status());
    }
    scene.code(&mut ada, &[]).await;
}

/// What a proxy takes as the head of an answer, as most are set up.
const BUFFER_OF_A_PROXY: usize = 16 * 1024;

fn assert_fits(page: &Page, what: &str) {
    let lines = page.headers.iter();
    let bytes: usize = lines
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    assert!(bytes < BUFFER_OF_A_PROXY, "{what}: {bytes} bytes");
}

#[tokio::test]
async fn attack_31_what_is_repeated_fits_into_the_buffer_of_a_proxy() {
    let scene = Scene::new().await;
    let mut ada = scene.browser_of(&scene.ada).await;
    // Each takes three in an address.
    for byte in ["!", "\u{1}", "\u{20ac}"] {
        for length in [3_600, 4_096, 20_000] {
            let what = format!("{length} bytes of {byte:?}");
            let state = byte.repeat(length / byte.len());
            let is_refused = length > 3_600 || byte == "\u{1}";
            let request = scene.request().with("state", &state);
            let page = scene.app.authorize(&mut ada, &request).await;
            assert_fits(&page, &what);
            let answer = callback(&page, &request);
            assert_eq!(answer.error.is_some(), is_refused, "{what}");
            let state = (length <= 3_600).then_some(state);
            assert_eq!(answer.state, state, "{what}");
            for request in [request.clone().with_another("state", "x"), request] {
                // A body has room for fewer of them.
                let form = &request.parameters;
                let page = ada.cross_site_post("/oauth/authorize", form).await;
                assert_fits(&page, &format!("posted {what}"));
                let is_too_large = page.status == 413;
                assert_eq!(is_too_large, length > 4_096, "{what}: {}", page.status);
            }
        }
    }
    let raw = format!("{}&state={}", query(&scene, ""), "!".repeat(15_000));
    let raw = raw.replacen("&state=af0ifjsldkj", "", 1);
    let (path, form) = raw.split_once('?').unwrap();
    let post = scene.app.request(Method::POST, path);
    let post = post.header(CONTENT_TYPE, FORM).body(form.to_owned());
    let reply = scene.app.send(post).await;
    assert_eq!(reply.status, 303);
    let location = reply.header("location");
    assert!(location.len() < 1_000, "{location}");
    assert!(location.contains("error=invalid_request"), "{location}");

    // Nor is more taken beside the name of a pushed request, which that does not use up.
    let own = pushed(&scene, &scene.request()).await;
    let more = own.clone().with("state", &"s".repeat(4_096));
    assert_shown(&scene.app.authorize(&mut ada, &more).await, "a name");
    let posted = ada
        .cross_site_post("/oauth/authorize", &more.parameters)
        .await;
    assert_shown(&posted, "a posted name");
    let page = scene.app.authorize(&mut ada, &own).await;
    callback(&page, &scene.request()).code();
}

#[tokio::test]
async fn attack_31_controls_stay_data() {
    let scene = Scene::new().await;
    let mut ada = scene.browser_of(&scene.ada).await;
    let hostile = "x\r\nSet-Cookie: a=b\r\n\r\n<script>alert(1)</script>\u{0}&code=evil#";
    for mode in ["query", "form_post"] {
        let request = scene
            .request()
            .with("state", hostile)
            .with("response_mode", mode);
        let page = scene.app.authorize(&mut ada, &request).await;
        assert_eq!(page.header("set-cookie"), "", "{mode}");
        assert!(
            !page.text.contains("<script>alert"),
            "{mode}: {}",
            page.text
        );
        if mode == "query" {
            let answer = callback(&page, &request);
            assert_eq!(answer.state.as_deref(), Some(hostile));
            assert!(
                answer.code().starts_with("tsc1_"),
                "only one code: {answer:?}"
            );
        }
    }
    for (name, value) in [
        ("scope", "openid\u{0}"),
        ("scope", "openid\r\nx"),
        ("scope", "openid\torders:read"),
        ("scope", "openid \"quoted\""),
        ("scope", "openid  orders:read"),
        ("scope", "openid ö"),
    ] {
        let answer = scene
            .answer(&mut ada, &scene.request().with(name, value))
            .await;
        assert_eq!(answer.error.as_deref(), Some("invalid_scope"), "{value:?}");
    }
    for (name, value) in [
        ("prompt", "none\u{0}"),
        ("max_age", "-1"),
        ("max_age", "1e3"),
        ("max_age", "\u{661}"),
        ("claims", "{"),
        ("claims", "[]"),
        ("claims", "{\"userinfo\":1}"),
        ("response_mode", "query\u{0}"),
    ] {
        let answer = scene
            .answer(&mut ada, &scene.request().with(name, value))
            .await;
        assert_eq!(
            answer.error.as_deref(),
            Some("invalid_request"),
            "{name}={value:?}"
        );
    }
    let deep = format!("{}{}", "{\"userinfo\":".repeat(200), "}".repeat(200));
    let answer = scene
        .answer(&mut ada, &scene.request().with("claims", &deep))
        .await;
    assert_eq!(answer.error.as_deref(), Some("invalid_request"));
    let far = scene.request().with("max_age", &"9".repeat(300));
    assert!(
        scene.answer(&mut ada, &far).await.code.is_some(),
        "that is no limit"
    );
}

#[tokio::test]
async fn attack_31_other_bodies_and_methods_get_nothing() {
    let scene = Scene::new().await;
    let json = r#"{"request":"x","username":"ada","password":"x"}"#;
    for path in [
        "/login",
        "/signup",
        "/consent",
        "/logout",
        "/account/profile",
        "/oauth/authorize",
    ] {
        for content_type in [
            "application/json",
            "text/plain",
            "multipart/form-data; boundary=x",
        ] {
            let post = scene
                .app
                .request(Method::POST, path)
                .header(CONTENT_TYPE, content_type);
            let reply = scene.app.send(post.body(json)).await;
            assert_eq!(reply.status, 400, "{path} {content_type}: {}", reply.text);
        }
        for method in [Method::PUT, Method::DELETE, Method::PATCH] {
            let reply = scene
                .app
                .send(scene.app.request(method.clone(), path))
                .await;
            assert_eq!(reply.status, 405, "{method} {path}");
        }
    }
    for path in [
        "/oauth/token",
        "/oauth/par",
        "/oauth/revoke",
        "/oauth/introspect",
    ] {
        let reply = scene.app.get(path).await;
        assert_eq!(reply.error(), (405, "invalid_request".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn attack_32_scopes_that_a_client_may_not_have_are_dropped() {
    let scene = Scene::new().await;
    let mut ada = scene.browser_of(&scene.ada).await;
    let greedy = "openid orders:read orders:write tokensmith:admin tokensmith:account profile";
    let tokens = scene.tokens(&mut ada, &[("scope", greedy)]).await;
    assert_eq!(tokens["scope"], "openid orders:read");
    let said = claims(tokens["access_token"].as_str().unwrap());
    assert_eq!(said["scope"], "openid orders:read");
    let unknown = scene.request().with("scope", "tokensmith:admin");
    let answer = scene.answer(&mut ada, &unknown).await;
    assert_eq!(answer.error.as_deref(), Some("invalid_scope"));

    // Nor by the name of a claim, of whichever person.
    let wish = r#"{"userinfo":{"email":null,"preferred_username":{"essential":true}},
        "id_token":{"email":{"essential":true},"preferred_username":null}}"#;
    let tokens = scene.tokens(&mut ada, &[("claims", wish)]).await;
    let id_token = claims(tokens["id_token"].as_str().unwrap());
    let access_token = tokens["access_token"].as_str().unwrap();
    let userinfo = scene
        .app
        .request(Method::GET, "/oauth/userinfo")
        .bearer_auth(access_token);
    let userinfo = scene.app.send(userinfo).await.json();
    for told in [&id_token, &userinfo] {
        assert_eq!(told["sub"], scene.ada.id.as_str());
        assert_eq!(
            (told.get("email"), told.get("preferred_username")),
            (None, None)
        );
    }
}

#[tokio::test]
async fn attack_32_a_resource_that_a_client_may_not_ask_for_is_no_target() {
    let scene = Scene::new().await;
    let third = scene.app.app_for_people("third", &[]).await;
    let mut ada = scene.browser_of(&scene.ada).await;
    for bad in [
        "https://other.example.com",
        "https://api.example.com/",
        "https://api.example.com.evil.example",
        "https://api.example.com#x",
        "orders",
        "javascript:alert(1)",
    ] {
        let request = scene.request().with("resource", bad);
        let answer = scene.answer(&mut ada, &request).await;
        assert_eq!(answer.error.as_deref(), Some("invalid_target"), "{bad}");
        let beside = scene
            .request()
            .with("resource", "https://api.example.com")
            .with_another("resource", bad);
        let answer = scene.answer(&mut ada, &beside).await;
        assert_eq!(answer.error.as_deref(), Some("invalid_target"), "{bad}");
    }
    // What the account is managed with is for the issuer's own apps.
    let account = AuthorizationRequest::of(&third).with("resource", &scene.app.issuer);
    let answer = scene.answer(&mut ada, &account).await;
    assert_eq!(answer.error.as_deref(), Some("invalid_target"));
}
