//! Who has an account, by the time that an answer takes. What answers say: `browser::pages` and
//! `service::login`; how many guesses there are: `limits` and the same.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::harness::app::TestClient;
use crate::harness::login::TestUser;
use crate::harness::{Database, TestApp};

/// How long it takes to hear that this name and password are wrong.
async fn time(app: &TestApp, phone: &TestClient, name: &str) -> Duration {
    let nobody = TestUser {
        id: String::new(),
        name: name.to_owned(),
        password: "not the one at all".to_owned(),
    };
    let form = TestApp::login_form(&nobody, &[]);
    let request = app.form(phone, "/oauth/challenge", &form);
    let start = Instant::now();
    let reply = app.send(request).await;
    let time = start.elapsed();
    assert_eq!(
        reply.error(),
        (400, "insufficient_authorization".to_owned())
    );
    time
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::test]
async fn attack_38_how_long_a_login_takes_does_not_tell_who_has_an_account() {
    /// One below what slows an account down.
    const TRIES_EACH: usize = 4;
    const PEOPLE: usize = 4;
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let (phone, administrator) = (app.phone().await, app.admin_token().await);
    let mut seen = Vec::new();
    for attempt in 0..3 {
        let (mut with, mut disabled, mut without) = (Vec::new(), Vec::new(), Vec::new());
        for person in 0..PEOPLE {
            let names =
                ["known", "barred", "unknown"].map(|kind| format!("{kind}-{attempt}-{person}"));
            for name in &names[..2] {
                let body = json!({ "username": name, "password": "seven herons at dawn" });
                let reply = app
                    .admin(&administrator, Method::POST, "/users", Some(body))
                    .await;
                assert_eq!(reply.status, 201, "{}", reply.text);
                if *name == names[1] {
                    let path = format!(
                        "/users/{}/disable",
                        reply.json()["user_id"].as_str().unwrap()
                    );
                    app.admin(&administrator, Method::POST, &path, None).await;
                }
            }
            for _ in 0..TRIES_EACH {
                for (name, times) in names.iter().zip([&mut with, &mut disabled, &mut without]) {
                    times.push(time(&app, &phone, name).await);
                }
            }
        }
        let times = [with, disabled, without].map(median);
        let (least, most) = (times.iter().min().unwrap(), times.iter().max().unwrap());
        // A hash that is left out is nearly all of the time; a busy machine gets three tries.
        if most.as_secs_f64() < least.as_secs_f64() * 1.5 {
            return;
        }
        seen.push(times);
    }
    panic!("with an account, with a disabled one, without: {seen:?}");
}
