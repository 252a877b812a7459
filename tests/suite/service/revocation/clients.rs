//! What ends with a client, with one of its secrets, and with a key.

use reqwest::Method;
use serde_json::{Value, json};
use tokensmith_verify::revocation::{Watermark, WatermarkScope};

use crate::harness::app::TestClient;
use crate::harness::login::claims;
use crate::harness::revocation::{Log, bit, position};
use crate::harness::{Reply, TestApp, now, on_every_database};

/// The only one of them: that of a client, with its second.
fn second_of(watermarks: &[Watermark], client: &str) -> i64 {
    let [watermark] = watermarks else {
        panic!("{watermarks:?}");
    };
    assert_eq!(watermark.scope, WatermarkScope::Client(client.to_owned()));
    watermark.not_before
}

fn issued_at(token: &str) -> i64 {
    claims(token)["iat"].as_i64().unwrap()
}

async fn rotate(app: &TestApp, administrator: &str, how: Value) -> (TestClient, Reply) {
    let path = "/clients/orders/rotate-secret";
    let reply = app
        .admin(administrator, Method::POST, path, Some(how))
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let client = TestClient {
        id: "orders".to_owned(),
        secret: reply.json()["client_secret"].as_str().unwrap().to_owned(),
    };
    (client, reply)
}

on_every_database! {
    async fn a_client_that_is_barred_has_no_token_left_and_its_next_ones_are_good(database) {
        let app = TestApp::start(&database).await;
        let (phone, orders) = (app.phone().await, app.orders().await);
        let administrator = app.admin_token().await;
        let api = app.client("api", &["--resource-server", "https://api.example.com"]).await;
        let mut log = Log::begin(&app, &phone).await;
        let act = async |method, path: &str| {
            let path = format!("/clients/orders{path}");
            let reply = app.admin(&administrator, method, &path, None).await;
            assert!(reply.status.is_success(), "{}", reply.text);
            reply
        };
        let before = app.access_token(&orders).await;
        assert!(app.is_good(&api, &before).await);

        let asked_at = now();
        let reply = act(Method::POST, "/disable").await;
        let dead = log.up_to(position(&reply.headers)).await;
        let second = second_of(&dead.watermarks, "orders");
        assert_eq!(dead.bits, [bit(&before)].into(), "also for those who only fetch the lists");
        assert!((asked_at + 1..=now() + 2).contains(&second), "{second}, not {asked_at}");
        assert!(!app.is_good(&api, &before).await);
        let reply = act(Method::POST, "/disable").await;
        log.stands("it was disabled", &reply.headers);

        let reply = act(Method::POST, "/enable").await;
        log.stands("nothing ends by that", &reply.headers);
        let after = app.access_token(&orders).await;
        assert!(issued_at(&after) >= second, "it would be dead: {after}");
        assert!(app.is_good(&api, &after).await);
        assert!(!app.is_good(&api, &before).await, "dead it stays");

        let reply = act(Method::DELETE, "").await;
        let dead = log.up_to(position(&reply.headers)).await;
        assert!(second_of(&dead.watermarks, "orders") > issued_at(&after));
        assert_eq!(dead.bits, [bit(&after)].into());
        // Somebody else, under the same name.
        let orders = app.orders().await;
        let of_another = app.access_token(&orders).await;
        assert_ne!(bit(&of_another), bit(&after));
        assert!(app.is_good(&api, &of_another).await);
        assert!(!app.is_good(&api, &after).await);
        log.agrees_with_the_lists().await;
    }
}

on_every_database! {
    async fn a_secret_that_ends_at_once_takes_its_tokens_along_and_no_others(database) {
        let app = TestApp::start(&database).await;
        let (phone, first) = (app.phone().await, app.orders().await);
        let administrator = app.admin_token().await;
        let api = app.client("api", &["--resource-server", "https://api.example.com"]).await;
        let mut log = Log::begin(&app, &phone).await;
        let of_first = app.access_token(&first).await;

        // As planned: nothing ends before its time.
        let (second, reply) = rotate(&app, &administrator, json!({ "overlap_seconds": 600 })).await;
        log.stands("nothing has ended", &reply.headers);
        let of_second = app.access_token(&second).await;
        assert_ne!(bit(&of_first), bit(&of_second), "each secret has a bit of its own");
        assert_eq!(bit(&app.access_token(&first).await), bit(&of_first), "and keeps it");
        assert!(app.is_good(&api, &of_first).await);

        // By force: the older of two, and no other.
        let forced = json!({ "force": true, "overlap_seconds": 600 });
        let (third, reply) = rotate(&app, &administrator, forced).await;
        log.ends("force", &reply.headers, &[&of_first]).await;
        assert!(!app.is_good(&api, &of_first).await);
        assert!(app.is_good(&api, &of_second).await);
        let of_third = app.access_token(&third).await;

        // At once: all but the new one.
        let at_once = json!({ "force": true, "overlap_seconds": 0 });
        let (fourth, reply) = rotate(&app, &administrator, at_once).await;
        log.ends("overlap 0", &reply.headers, &[&of_second, &of_third]).await;
        assert!(!app.is_good(&api, &of_third).await);
        let of_fourth = app.access_token(&fourth).await;
        assert!(app.is_good(&api, &of_fourth).await);

        let said = app.run(&["client", "rotate-secret", "orders", "--overlap", "0s"]);
        assert_eq!(said.code, 0, "{}", said.err);
        assert_eq!(log.ends_by_command(&[&of_fourth]).await, []);
        log.agrees_with_the_lists().await;
    }
}

on_every_database! {
    async fn a_leaked_secret_administers_nothing_once_it_has_ended(database) {
        let app = TestApp::start(&database).await;
        let leaked = app.admin_token().await;
        let path = "/clients/admin/rotate-secret";
        let how = Some(json!({ "overlap_seconds": 0 }));
        assert_eq!(app.admin(&leaked, Method::POST, path, how).await.status, 200);
        let refused = app.admin(&leaked, Method::GET, "/clients", None).await;
        assert_eq!(refused.error(), (401, "invalid_token".to_owned()));
    }
}

on_every_database! {
    async fn a_command_that_bars_a_client_cuts_its_tokens_off(database) {
        let app = TestApp::start(&database).await;
        let (phone, orders) = (app.phone().await, app.orders().await);
        let mut log = Log::begin(&app, &phone).await;
        let token = app.access_token(&orders).await;
        assert_eq!(app.run(&["client", "disable", "orders"]).code, 0);
        let watermarks = log.ends_by_command(&[&token]).await;
        assert!(second_of(&watermarks, "orders") > issued_at(&token));
        assert_eq!(app.run(&["client", "delete", "orders"]).code, 0);
        // Its secret was ended already.
        let watermarks = log.ends_by_command(&[]).await;
        assert!(second_of(&watermarks, "orders") > issued_at(&token));
    }
}

on_every_database! {
    async fn a_key_that_is_withdrawn_is_cut_off_for_ever(database) {
        let app = TestApp::start(&database).await;
        let phone = app.phone().await;
        let administrator = app.admin_token().await;
        let keys = app.admin(&administrator, Method::GET, "/keys", None).await.json();
        let kid = keys["keys"][0]["kid"].as_str().unwrap();
        let mut log = Log::begin(&app, &phone).await;
        let path = format!("/keys/{kid}/revoke");
        let reply = app.admin(&administrator, Method::POST, &path, None).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let dead = log.up_to(position(&reply.headers)).await;
        let expected = Watermark {
            scope: WatermarkScope::Kid(kid.to_owned()),
            not_before: 253_402_300_799,
        };
        assert_eq!((dead.watermarks, dead.bits), (vec![expected], [].into()));
        let refused = app.admin(&administrator, Method::GET, "/keys", None).await;
        assert_eq!(refused.error(), (401, "invalid_token".to_owned()));

        let keys = app.run(&["keys", "list", "--json"]).json();
        let kid = keys[0]["kid"].as_str().unwrap();
        assert_eq!(app.run(&["keys", "revoke", kid]).code, 0);
        let watermarks = log.ends_by_command(&[]).await;
        assert_eq!(watermarks[0].scope, WatermarkScope::Kid(kid.to_owned()));
    }
}
