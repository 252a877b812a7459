//! Items 29, 30 and 37: where a logout leads, signing people out who do not want it, and calling
//! addresses that nobody may call.

use reqwest::Method;
use serde_json::Value;
use tokensmith::domain::Timestamp;

use super::redirects::{look_alikes, web_app};
use super::{BRIEF, Person, REDIRECT_URI, Scene, assert_shown, is_signed_in};
use crate::harness::app::TestClient;
use crate::harness::client_site::ClientSite;
use crate::harness::person::Visit;
use crate::harness::{Database, now, on_every_database, wait};

const RECEIVERS: (&str, &str) = ("TOKENSMITH_PRIVATE_RECEIVERS", "127.0.0.0/8");

/// The shop's ID token of somebody who signs in in a browser of their own.
async fn id_token_of(scene: &Scene, user: &crate::harness::login::TestUser) -> String {
    let mut browser = scene.browser_of(user).await;
    let tokens = scene.tokens(&mut browser, &[]).await;
    tokens["id_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn attack_30_a_link_or_a_form_of_another_site_signs_nobody_out() {
    let scene = Scene::new().await;
    let mut ada = scene.browser_of(&scene.ada).await;
    let named = format!("/oauth/logout?client_id={}", scene.shop.id);
    for link in [
        "/oauth/logout",
        &named,
        "/oauth/logout?logout=1&csrf=x",
        "/logout",
    ] {
        let page = ada.cross_site_get(link).await;
        assert!(page.has_id("logout"), "{link} asks: {}", page.text);
        assert!(is_signed_in(&mut ada).await, "{link}");
    }
    let page = ada.cross_site_get("/oauth/logout").await;
    let (form, _) = page.form_with("logout");
    let forged = ada.cross_site_post("/logout", &form.fields).await;
    assert_eq!(
        (forged.status.as_u16(), forged.header("set-cookie")),
        (403, "")
    );
    let asked = ada
        .cross_site_post("/oauth/logout", &[("client_id", &scene.shop.id)])
        .await;
    let page = ada.cross_site_get(asked.header("location")).await;
    assert!(
        page.has_id("logout"),
        "by way of a form it asks as well: {}",
        page.text
    );
    assert!(is_signed_in(&mut ada).await);

    // The question that was put to another browser, or to this one before somebody else signed in.
    let bob = scene.app.user("bob").await;
    let mut other = scene.browser_of(&bob).await;
    assert_shown(
        &other.post_form("/logout", &form.fields).await,
        "another browser's",
    );
    let again = scene.request().with("prompt", "login");
    let page = scene.app.authorize(&mut ada, &again).await;
    scene.app.sign_in(&mut ada, &page, &bob).await;
    assert_shown(
        &ada.post_form("/logout", &form.fields).await,
        "the person's before",
    );
    assert!(is_signed_in(&mut ada).await && is_signed_in(&mut other).await);
}

#[tokio::test]
async fn attack_30_the_hint_of_another_person_does_not_sign_out_without_a_question() {
    let scene = Scene::new().await;
    let bob = scene.app.user("bob").await;
    let of_bob = id_token_of(&scene, &bob).await;
    let mut ada = scene.browser_of(&scene.ada).await;
    let link = format!("/oauth/logout?id_token_hint={of_bob}");
    let page = ada.cross_site_get(&link).await;
    assert!(page.has_id("logout"), "{}", page.text);
    assert!(page.text.contains(&scene.ada.name) && !page.text.contains(&bob.name));
    let posted = ada
        .cross_site_post("/oauth/logout", &[("id_token_hint", &*of_bob)])
        .await;
    let page = ada.cross_site_get(posted.header("location")).await;
    assert!(page.has_id("logout"), "{}", page.text);
    assert!(
        !posted.header("location").contains(&of_bob),
        "the hint is in no address of ours"
    );
    assert!(is_signed_in(&mut ada).await);

    let of_ada = id_token_of(&scene, &scene.ada).await;
    for (name, value) in [("client_id", "other"), ("client_id", "nobody")] {
        let link = format!("/oauth/logout?id_token_hint={of_ada}&{name}={value}");
        assert_shown(&ada.cross_site_get(&link).await, value);
    }
    for name in [
        "id_token_hint",
        "client_id",
        "post_logout_redirect_uri",
        "state",
    ] {
        let link = format!("/oauth/logout?{name}=x&{name}=x");
        assert_shown(&ada.cross_site_get(&link).await, &link);
    }
    assert!(is_signed_in(&mut ada).await);
    let link = format!("/oauth/logout?id_token_hint={of_ada}");
    let page = ada.cross_site_get(&link).await;
    assert!(
        page.has_id("logout"),
        "of another login of hers: {}",
        page.text
    );
    let here = scene.tokens(&mut ada, &[]).await;
    let here = here["id_token"].as_str().unwrap();
    let link = format!("/oauth/logout?id_token_hint={here}");
    let page = ada.cross_site_get(&link).await;
    assert_eq!(page.status, 303, "of this very login");
    assert!(!is_signed_in(&mut ada).await);
}

/// An app that wants to be told at an address of this machine.
async fn told(scene: &Scene, receiver: &str) -> TestClient {
    let arguments = ["--first-party", "--backchannel-logout-uri", receiver];
    scene.app.app_for_people("told", &arguments).await
}

/// Ada signs in, opens so many sessions of a client, and signs out.
async fn come_and_go(scene: &Scene, client: &TestClient, sessions: usize) {
    let mut ada = scene.browser_of(&scene.ada).await;
    for _ in 0..sessions {
        let answer = scene
            .app
            .code_in_browser(&mut ada, client, &scene.ada, &[BRIEF])
            .await;
        let sent_to = [("redirect_uri", REDIRECT_URI)];
        assert_eq!(
            scene.redeem(client, answer.code(), &sent_to).await.status,
            200
        );
    }
    let page = ada.get("/logout").await;
    ada.submit(&page, "logout", &[]).await;
    assert!(!is_signed_in(&mut ada).await);
}

/// What the audit log says of deliveries; waits until there are so many.
async fn deliveries(scene: &Scene, count: usize) -> Vec<Value> {
    let token = scene.app.admin_token().await;
    wait::until("the deliveries are done", || async {
        let path = "/audit?event=logout_delivered";
        let reply = scene.app.admin(&token, Method::GET, path, None).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let records = reply.json()["records"].as_array().unwrap().clone();
        (records.len() >= count).then_some(records)
    })
    .await
}

on_every_database! {
    async fn attack_30_a_client_is_told_once_of_each_session(database) {
        let scene = Scene::on(database, &[RECEIVERS]).await;
        let site = ClientSite::start();
        let client = told(&scene, &site.backchannel()).await;
        come_and_go(&scene, &client, 3).await;
        let records = deliveries(&scene, 3).await;
        let tokens = site.logout_tokens();
        let sids: std::collections::BTreeSet<_> = tokens
            .iter()
            .map(|token| crate::harness::login::claims(token)["sid"].to_string())
            .collect();
        assert_eq!((records.len(), tokens.len(), sids.len()), (3, 3, 3));
    }
}

on_every_database! {
    async fn attack_30_a_client_that_is_down_is_told_when_it_is_back(database) {
        let scene = Scene::on(database, &[RECEIVERS]).await;
        let site = ClientSite::start();
        site.answer_logout_tokens_with(503);
        let client = told(&scene, &site.backchannel()).await;
        come_and_go(&scene, &client, 1).await;
        let first = site.logout_token().await;
        wait::until("the service has noticed", || async {
            scene.app.log().contains("was not told").then_some(())
        })
        .await;
        // The next try is due in ten seconds; somebody else takes it and gives it back at once.
        let store = scene.database.open().await;
        let at = |seconds| Timestamp::from_timestamp(now() + seconds, 0).unwrap();
        assert_eq!(store.claim_deliveries(at(5), at(5), 10).await.unwrap(), []);
        site.answer_logout_tokens_with(200);
        let waiting = store.claim_deliveries(at(12), at(-1), 10).await.unwrap();
        assert_eq!((waiting.len(), waiting[0].tries), (1, 2));
        let second = site.logout_token().await;
        let said = [&first, &second].map(|token| crate::harness::login::claims(token));
        assert_eq!(said[0]["sid"], said[1]["sid"]);
        assert_ne!(said[0]["jti"], said[1]["jti"]);
        assert_eq!(deliveries(&scene, 1).await[0]["detail"], "delivered");
    }
}

#[tokio::test]
async fn attack_37_nobody_inside_is_called() {
    let scene = Scene::on(Database::sqlite(), &[]).await;
    let site = ClientSite::start();
    let receiver = site.backchannel();
    let localhost = format!("{}/backchannel", site.foreign_address);
    for (id, address) in [
        ("loopback", receiver.as_str()),
        ("localhost", localhost.as_str()),
        ("metadata", "https://169.254.169.254/backchannel"),
        ("private", "https://10.0.0.1/backchannel"),
        ("mapped", "https://[64:ff9b::7f00:1]/backchannel"),
    ] {
        let arguments = ["--first-party", "--backchannel-logout-uri", address];
        let client = scene.app.app_for_people(id, &arguments).await;
        come_and_go(&scene, &client, 1).await;
    }
    for record in deliveries(&scene, 5).await {
        assert_eq!(
            record["detail"], "the address of the client must not be called",
            "{record}"
        );
    }
    assert_eq!(site.logout_tokens(), Vec::<String>::new());
}

#[tokio::test]
async fn attack_29_after_a_logout_nobody_is_sent_to_what_merely_resembles() {
    let scene = Scene::new().await;
    web_app(&scene).await;
    let mut ada = scene.browser_of(&scene.ada).await;
    let mut stranger = Person::new(&scene.app);
    let url = |uri: &str| {
        let mut url: url::Url = format!("{}/oauth/logout", scene.app.issuer)
            .parse()
            .unwrap();
        let parameters = [("client_id", "web"), ("post_logout_redirect_uri", uri)];
        url.query_pairs_mut().extend_pairs(parameters);
        String::from(url)
    };
    for bad in look_alikes("/bye").iter().filter(|uri| !uri.is_empty()) {
        assert_shown(&ada.cross_site_get(&url(bad)).await, bad);
        assert_shown(&stranger.cross_site_get(&url(bad)).await, bad);
        let form = [("client_id", "web"), ("post_logout_redirect_uri", bad)];
        assert_shown(&ada.cross_site_post("/oauth/logout", &form).await, bad);
    }
    // A redirect URI is no address for after a logout, nor is that of another client.
    for bad in ["https://app.example.com/callback", REDIRECT_URI] {
        assert_shown(&ada.cross_site_get(&url(bad)).await, bad);
    }
    let good = "https://app.example.com/bye";
    let unnamed = format!("/oauth/logout?post_logout_redirect_uri={good}");
    assert_shown(&ada.cross_site_get(&unnamed).await, "without a client");
    let answered = stranger.cross_site_get(&url(good)).await;
    assert_eq!(answered.header("location"), good);
    assert!(is_signed_in(&mut ada).await);
}

#[tokio::test]
async fn attack_29_a_state_adds_nothing_to_the_way_back() {
    let scene = Scene::new().await;
    web_app(&scene).await;
    let mut person = Person::new(&scene.app);
    let hostile = "x&post=1#y\r\nSet-Cookie: a=b\u{0}";
    let form = [
        ("client_id", "web"),
        ("post_logout_redirect_uri", "https://app.example.com/bye"),
        ("state", hostile),
    ];
    let page = person.cross_site_post("/oauth/logout", &form).await;
    let page = person.send(Visit::get(page.header("location"))).await;
    let back = page.location().unwrap();
    assert_eq!(
        back.query_pairs().collect::<Vec<_>>(),
        [("state".into(), hostile.into())]
    );
    assert_eq!((back.fragment(), page.header("set-cookie")), (None, ""));
}

#[tokio::test]
async fn attack_31_the_way_back_after_a_logout_has_a_length() {
    let scene = Scene::new().await;
    web_app(&scene).await;
    let mut ada = scene.browser_of(&scene.ada).await;
    let mut nobody = Person::new(&scene.app);
    let way = "https://app.example.com/bye?state=";
    let longest = "s".repeat(4_096 - way.len());
    let longer = format!("{longest}s");
    // Each takes three.
    let marks = "!".repeat(1_400);
    for (state, is_good) in [(&longest, true), (&longer, false), (&marks, false)] {
        let form = [
            ("client_id", "web"),
            ("post_logout_redirect_uri", "https://app.example.com/bye"),
            ("state", state),
        ];
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let link = format!("/oauth/logout?{query}");
        let what = format!("{} characters", state.len());
        let asked = ada.cross_site_get(&link).await;
        let sent_on = nobody.cross_site_get(&link).await;
        let posted = nobody.cross_site_post("/oauth/logout", &form).await;
        if is_good {
            assert!(asked.has_id("logout"), "{what}");
            assert_eq!(sent_on.header("location"), format!("{way}{state}"));
            assert!(posted.header("location").len() < 7 * 1024, "{what}");
        } else {
            assert_shown(&asked, &what);
            assert_shown(&sent_on, &what);
            assert_shown(&posted, &what);
        }
    }
}

#[tokio::test]
async fn attack_30_an_id_token_without_a_browser_ends_its_own_session_and_no_other() {
    let scene = Scene::new().await;
    let mut ada = scene.browser_of(&scene.ada).await;
    let ended = scene.tokens(&mut ada, &[BRIEF]).await;
    let other = scene.tokens(&mut ada, &[BRIEF]).await;
    let offline = scene.tokens(&mut ada, &[]).await;
    let mut nobody = Person::new(&scene.app);
    for tokens in [&ended, &offline] {
        let hint = tokens["id_token"].as_str().unwrap();
        let link = format!("/oauth/logout?id_token_hint={hint}");
        let page = nobody.cross_site_get(&link).await;
        assert!(page.has_id("signed-out"), "{}", page.text);
    }
    let refreshed = async |tokens: &Value| {
        let token = tokens["refresh_token"].as_str().unwrap();
        scene.app.refresh(&scene.shop, token, &[]).await.status
    };
    assert_eq!(
        refreshed(&ended).await,
        400,
        "it is what the token speaks of"
    );
    assert_eq!(refreshed(&other).await, 200);
    assert_eq!(
        refreshed(&offline).await,
        200,
        "it goes on while the person is away"
    );
    assert!(is_signed_in(&mut ada).await);
}
