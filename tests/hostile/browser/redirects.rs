//! Item 29: where browsers are sent.

use serde_json::json;

use super::{AuthorizationRequest, Person, Scene, assert_shown, is_signed_in};
use crate::harness::app::TestClient;
use crate::harness::person::Page;

/// An app on the web, registered with one redirect URI and one address for after a logout.
pub(super) async fn web_app(scene: &Scene) -> TestClient {
    let arguments = [
        "--grant",
        "authorization_code",
        "--first-party",
        "--scope",
        "openid",
        "--redirect-uri",
        "https://app.example.com/callback",
        "--redirect-uri",
        "http://localhost:3000/callback",
        "--post-logout-redirect-uri",
        "https://app.example.com/bye",
    ];
    scene.app.register("web", &arguments).await
}

/// Resembles an address on `app.example.com`, in the ways that have fooled others.
pub(super) fn look_alikes(path: &str) -> Vec<String> {
    [
        "",
        "/",
        "//app.example.com{path}",
        "///app.example.com{path}",
        "https:app.example.com{path}",
        "https:/app.example.com{path}",
        "https:\\\\app.example.com{path}",
        "HTTPS://app.example.com{path}",
        "https://APP.example.com{path}",
        "http://app.example.com{path}",
        "https://app.example.com:443{path}",
        "https://app.example.com:8443{path}",
        "https://app.example.com.{path}",
        "https://app.example.com",
        "https://app.example.com{path}/",
        "https://app.example.com{path}/..{path}",
        "https://app.example.com/x/..{path}",
        "https://app.example.com/%2e%2e{path}",
        "https://app.example.com/{path}",
        "https://app.example.com{path}#",
        "https://app.example.com{path}#fragment",
        "https://app.example.com{path}?",
        "https://app.example.com{path}?added=1",
        "https://app.example.com{path}%00",
        "https://app.example.com{path}%0d%0aSet-Cookie:%20x=1",
        "https://app.example.com{path}\u{0}",
        "https://app.example.com{path}\r\nSet-Cookie: x=1",
        "https://app.example.com{path} https://evil.example/",
        " https://app.example.com{path}",
        "https://app.example.com%2f{path}",
        "https://%61pp.example.com{path}",
        "https://app.example.com%40evil.example{path}",
        "https://app.example.com@evil.example{path}",
        "https://evil.example@app.example.com{path}",
        "https://me:word@app.example.com{path}",
        "https://evil.example\\@app.example.com{path}",
        "https://app.example.com\\.evil.example{path}",
        "https://evil.app.example.com{path}",
        "https://app.example.com.evil.example{path}",
        "https://appXexample.com{path}",
        "https://evil.example/app.example.com{path}",
        "https://evil.example{path}?https://app.example.com{path}",
        "https://\u{430}pp.example.com{path}",
        "https://xn--pp-6kc.example.com{path}",
        "https://app\u{3002}example.com{path}",
        "https://*.example.com{path}",
        "javascript:alert(1)//https://app.example.com{path}",
        "data:text/html,https://app.example.com{path}",
        "http://localhost{path}",
        "http://localhost:3001{path}",
        "http://127.0.0.1:3000{path}",
        "http://localhost.:3000{path}",
        "http://localhost:3000@evil.example{path}",
        "urn:ietf:wg:oauth:2.0:oob",
    ]
    .map(|uri| uri.replace("{path}", path))
    .into()
}

#[tokio::test]
async fn attack_29_a_redirect_uri_that_resembles_a_registered_one_is_shown_and_not_followed() {
    let scene = Scene::new().await;
    let web = web_app(&scene).await;
    let mut ada = scene.browser_of(&scene.ada).await;
    let request = AuthorizationRequest::of(&web).with("scope", "openid");
    for good in [
        "https://app.example.com/callback",
        "http://localhost:3000/callback",
    ] {
        let answer = scene
            .answer(&mut ada, &request.clone().with("redirect_uri", good))
            .await;
        assert!(answer.code.is_some(), "{good}");
    }
    for (number, bad) in look_alikes("/callback").iter().enumerate() {
        // Neither an error nor a silent refusal is an excuse to go there.
        let request = match number % 3 {
            0 => request.clone(),
            1 => request.clone().with("prompt", "none"),
            _ => request.clone().with("response_type", "token"),
        };
        let page = scene
            .app
            .authorize(&mut ada, &request.with("redirect_uri", bad))
            .await;
        assert_shown(&page, bad);
    }
    let none = scene
        .app
        .authorize(&mut ada, &request.clone().without("redirect_uri"))
        .await;
    assert_shown(&none, "no redirect_uri");
    for id in ["nobody", "", "web\u{0}", "WEB", "<script>alert(1)</script>"] {
        let page = scene
            .app
            .authorize(&mut ada, &request.clone().with("client_id", id))
            .await;
        assert_shown(&page, id);
        assert!(!page.text.contains("<script>alert"), "{}", page.text);
    }
}

#[tokio::test]
async fn attack_29_on_loopback_any_port_will_do_and_nothing_else() {
    let scene = Scene::new().await;
    let mut ada = scene.browser_of(&scene.ada).await;
    for good in [
        "http://127.0.0.1/callback",
        "http://127.0.0.1:49152/callback",
    ] {
        let answer = scene
            .answer(&mut ada, &scene.request().with("redirect_uri", good))
            .await;
        assert!(answer.code.is_some(), "{good}");
    }
    for bad in [
        "http://127.0.0.1:49152/callback/../evil",
        "http://127.0.0.1:49152/Callback",
        "http://127.0.0.1:49152@evil.example/callback",
        "http://127.0.0.1.evil.example/callback",
        "http://127.0.0.1:65536/callback",
        "http://127.0.0.2/callback",
        "http://127.1/callback",
        "http://0x7f.0.0.1/callback",
        "http://[::1]/callback",
        "http://localhost/callback",
        "https://127.0.0.1/callback",
    ] {
        let request = scene.request().with("redirect_uri", bad);
        assert_shown(&scene.app.authorize(&mut ada, &request).await, bad);
    }
}

#[tokio::test]
async fn attack_29_addresses_that_run_code_or_match_many_cannot_be_registered() {
    let scene = Scene::new().await;
    let administrator = scene.app.admin_token().await;
    for bad in [
        "javascript:alert(1)",
        "JavaScript://app.example.com/%0aalert(1)",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:x",
        "file:///etc/passwd",
        "https://*.example.com/",
        "https://app.example.com/*",
        "https://app.example.com/#x",
        "https://app.example.com/../x",
        "https://me@app.example.com/",
        "http://app.example.com/",
        "//app.example.com/",
    ] {
        for option in [
            "--redirect-uri",
            "--post-logout-redirect-uri",
            "--logo-uri",
            "--backchannel-logout-uri",
        ] {
            let is_of_the_web = option == "--logo-uri" || option == "--backchannel-logout-uri";
            if is_of_the_web && bad.ends_with("/*") {
                // To one that is called and not compared, a star is a letter.
                continue;
            }
            let member = option.trim_start_matches("--").replace('-', "_");
            let is_list = member.ends_with("redirect_uri");
            let (member, value) = if is_list {
                (format!("{member}s"), json!([bad]))
            } else {
                (member, json!(bad))
            };
            let body = json!({ "client_id": "web", "grant_types": ["authorization_code"],
                "redirect_uris": ["https://app.example.com/"], (member.as_str()): value });
            let post = reqwest::Method::POST;
            let reply = scene
                .app
                .admin(&administrator, post, "/clients", Some(body))
                .await;
            assert_eq!(reply.status, 400, "{member} {bad}: {}", reply.text);
        }
        let arguments = [
            "client",
            "create",
            "--id",
            "web",
            "--grant",
            "authorization_code",
        ];
        let said = scene
            .app
            .run(&[&arguments[..], &["--redirect-uri", bad]].concat());
        assert_eq!(said.code, 2, "{bad}: {}", said.err);
    }
}

/// Where the login page leads to when it was opened by this address.
async fn after_login(scene: &Scene, address: &str) -> (Person, Page) {
    let mut person = Person::new(&scene.app);
    let page = person.get(address).await;
    if page.status != 200 {
        return (person, page);
    }
    let page = scene.app.sign_in(&mut person, &page, &scene.ada).await;
    (person, page)
}

#[tokio::test]
async fn attack_29_after_login_nobody_is_sent_away() {
    let scene = Scene::new().await;
    let own = format!("{}/account", scene.app.issuer);
    for elsewhere in [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/%09/evil.example",
        "javascript:alert(1)",
        "account@evil.example",
        "https:evil.example",
    ] {
        let value: String = url::form_urlencoded::byte_serialize(elsewhere.as_bytes()).collect();
        for name in ["to", "next", "return_to", "redirect_uri", "continue", "url"] {
            let (_, page) = after_login(&scene, &format!("/login?{name}={value}")).await;
            let location = page.location().unwrap();
            assert_eq!(location.as_str(), own, "{name}={elsewhere}");
        }
    }
    let (_, page) = after_login(&scene, "/login?to=devices").await;
    assert_eq!(page.header("location"), "/account/devices");

    // Nor by a field that the form does not have.
    let mut person = Person::new(&scene.app);
    let page = person.get("/login").await;
    let (form, _) = page.form_with("submit");
    let mut fields = form.fields;
    for (name, value) in &mut fields {
        match name.as_str() {
            "username" => scene.ada.name.clone_into(value),
            "password" => scene.ada.password.clone_into(value),
            _ => {}
        }
    }
    for name in ["to", "next", "redirect_uri", "return_to"] {
        fields.push((name.to_owned(), "https://evil.example/".to_owned()));
    }
    let page = person.post_form("/login", &fields).await;
    assert_eq!(page.location().unwrap().as_str(), own);
}

#[tokio::test]
async fn attack_29_a_request_that_was_tampered_with_leads_nowhere() {
    let scene = Scene::new().await;
    let mut person = Person::new(&scene.app);
    let request = scene.request();
    let page = scene.app.authorize(&mut person, &request).await;
    let sealed = page.form_with("submit").0.fields[0].clone();
    assert_eq!(sealed.0, "request");
    let sealed = sealed.1;
    let mut flipped = sealed.clone();
    let middle = flipped.len() / 2;
    let letter = if flipped.as_bytes()[middle] == b'A' {
        "B"
    } else {
        "A"
    };
    flipped.replace_range(middle..=middle, letter);
    let credentials = [
        ("username", &*scene.ada.name),
        ("password", &*scene.ada.password),
    ];
    for bad in [
        flipped.as_str(),
        &sealed[..sealed.len() - 1],
        &format!("{sealed}A"),
        &format!("{sealed}="),
        "https://evil.example/",
        "x",
    ] {
        let mut form = vec![("request", bad)];
        form.extend(credentials);
        for path in ["/login", "/signup", "/consent", "/logout"] {
            assert_shown(&person.post_form(path, &form).await, path);
        }
        let bad: String = url::form_urlencoded::byte_serialize(bad.as_bytes()).collect();
        for path in ["/login", "/signup", "/consent", "/oauth/logout"] {
            assert_shown(&person.get(&format!("{path}?request={bad}")).await, path);
        }
    }
    assert!(!is_signed_in(&mut person).await);
    // What it was good for it is still good for; a wish to sign in is none to sign out.
    assert_shown(
        &person.post_form("/logout", &[("request", &sealed)]).await,
        "as a logout",
    );
    let page = scene.app.sign_in(&mut person, &page, &scene.ada).await;
    assert!(super::callback(&page, &request).code.is_some());
}

#[tokio::test]
async fn attack_29_every_redirect_is_a_303_that_tells_nobody_where_it_came_from() {
    let scene = Scene::new().await;
    let third = scene.app.app_for_people("third", &[]).await;
    let mut person = Person::new(&scene.app);
    let request = AuthorizationRequest::of(&third);
    let mut pages = vec![
        person
            .cross_site_post("/oauth/authorize", &request.parameters)
            .await,
    ];
    let authorize = pages[0].location().unwrap();
    let page = person.cross_site_get(authorize.as_str()).await;
    pages.push(scene.app.sign_in(&mut person, &page, &scene.ada).await);
    let consent = pages[1].location().unwrap();
    let page = person.follow(consent.as_str()).await;
    pages.push(person.submit(&page, "allow", &[]).await);
    assert!(super::callback(&pages[2], &request).code.is_some());
    let none = AuthorizationRequest::of(&third).with("scope", "nothing");
    pages.push(scene.app.authorize(&mut person, &none).await);
    pages.push(
        person
            .cross_site_post("/oauth/logout", &[("client_id", "third")])
            .await,
    );
    let page = person.get("/logout").await;
    pages.push(person.submit(&page, "logout", &[]).await);
    pages.push(person.get("/account").await);
    for page in pages {
        assert_eq!(page.status, 303, "{}", page.url);
        assert_eq!(page.header("cache-control"), "no-store", "{}", page.url);
        assert_eq!(
            page.header("referrer-policy"),
            "no-referrer",
            "{}",
            page.url
        );
        assert_eq!(page.text, "", "{}", page.url);
    }
}

#[tokio::test]
async fn attack_29_a_client_that_is_disabled_gets_no_browser() {
    let scene = Scene::new().await;
    let mut ada = scene.browser_of(&scene.ada).await;
    let mut late = Person::new(&scene.app);
    let begun = scene.app.authorize(&mut late, &scene.request()).await;
    let administrator = scene.app.admin_token().await;
    let post = reqwest::Method::POST;
    let reply = scene
        .app
        .admin(&administrator, post, "/clients/shop/disable", None)
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    for request in [scene.request(), scene.request().with("prompt", "none")] {
        let page = scene.app.authorize(&mut ada, &request).await;
        assert_shown(&page, "a new request");
    }
    let credentials = scene.app.sign_in(&mut late, &begun, &scene.ada).await;
    assert_shown(&credentials, "a request on its way");
    let cancelled = late.submit(&begun, "cancel", &[]).await;
    assert_shown(&cancelled, "a refusal on its way");
    assert!(!is_signed_in(&mut late).await);
}
