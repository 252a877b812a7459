//! Health, metrics, logs, and the end of a process.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Database, TestApp, on_every_database, wait};

on_every_database! {
    async fn health_and_metrics_tell_what_is_going_on(database) {
        let app = TestApp::start(&database).await;
        let client = app.orders().await;
        app.access_token(&client).await;
        assert_eq!(app.get("/healthz").await.json()["status"], "ok");
        let ready = app.get("/readyz").await.json();
        assert_eq!((&ready["database"], &ready["signing_key"]), (&Value::from(true), &Value::from(true)));

        let ok = app.metric("tokensmith_http_requests_total", "endpoint=\"/oauth/token\",method=\"POST\",outcome=\"ok\"").await;
        assert!(ok >= 1.0);
        for (name, labels) in [
            ("tokensmith_http_request_duration_seconds_count", "endpoint=\"/oauth/token\""),
            ("tokensmith_tokens_issued_total", "grant=\"client_credentials\",client_id=\"orders\""),
            ("tokensmith_token_signing_duration_seconds_count", ""),
            ("tokensmith_store_connections_max", ""),
        ] {
            assert!(app.metric(name, labels).await >= 1.0, "{name}");
        }
        wait::until("key ages are listed", || async {
            app.get("/metrics").await.text.contains("state=\"active\"").then_some(())
        })
        .await;
        app.get("/no/such/path").await;
        assert!(!app.get("/metrics").await.text.contains("/no/such/path"), "labels are ours");
    }
}

on_every_database! {
    async fn a_log_line_has_the_id_of_its_request_and_no_secret(database) {
        let app = TestApp::start_with(&database, &[("TOKENSMITH_LOG", "trace")]).await;
        let client = app.orders().await;
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let request = app
            .request(reqwest::Method::POST, "/oauth/token")
            .header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"))
            .basic_auth(&client.id, Some(&client.secret))
            .form(&[("grant_type", "client_credentials")]);
        let reply = app.send(request).await;
        assert_eq!(reply.header("x-request-id"), trace);
        let token = reply.json()["access_token"].as_str().unwrap().to_owned();
        let wrong = [("client_id", "orders"), ("client_secret", "tss1_mistyped")];
        app.token(&client, &wrong).await;

        let line: Value = wait::until("the line is written", || async {
            let log = app.log();
            log.lines()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok())
                .find(|line| line["request_id"] == trace)
        })
        .await;
        assert_eq!(line["endpoint"], "/oauth/token");
        assert_eq!((&line["status"], &line["outcome"]), (&Value::from(200), &Value::from("ok")));
        assert_eq!(line["client_id"], "orders");
        assert!(line["duration_us"].is_u64());

        let signature = token.rsplit('.').next().unwrap();
        for secret in [client.secret.as_str(), &token, signature, "tss1_mistyped"] {
            assert!(!app.log().contains(secret), "a secret is in the log");
        }
        let lines = app.log();
        assert!(lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{lines}");
    }
}

on_every_database! {
    async fn a_stopped_process_finishes_what_is_running_and_exits_with_zero(database) {
        let mut app = TestApp::start(&database).await;
        let client = app.orders().await;
        let body = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}",
            client.id, client.secret
        );
        let host = app.address.strip_prefix("http://").unwrap().to_owned();
        let mut connection = TcpStream::connect(&host).unwrap();
        write!(
            connection,
            "POST /oauth/token HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\n\r\n",
            body.len()
        )
        .unwrap();
        // The server asks for the body once it has taken up the request.
        let mut go_on = [0; 25];
        connection.read_exact(&mut go_on).unwrap();
        assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
        let (head, tail) = body.split_at(10);
        connection.write_all(head.as_bytes()).unwrap();
        app.signal("TERM");
        wait::until("the server accepts no more", || async {
            TcpStream::connect(&host).err().map(|_| ())
        })
        .await;
        connection.write_all(tail.as_bytes()).unwrap();
        let mut answer = String::new();
        connection.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        connection.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(app.exit().await.code(), Some(0));
        assert!(app.log().contains("\"stopped\""));
    }
}

#[tokio::test]
async fn a_request_that_does_not_end_does_not_keep_the_process() {
    let database = Database::sqlite();
    let mut app = TestApp::start_with(&database, &[("TOKENSMITH_SHUTDOWN_TIMEOUT", "1s")]).await;
    let host = app.address.strip_prefix("http://").unwrap().to_owned();
    let mut connection = TcpStream::connect(&host).unwrap();
    write!(
        connection,
        "POST /oauth/token HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\n\r\n"
    )
    .unwrap();
    connection.read_exact(&mut [0; 25]).unwrap();
    app.signal("TERM");
    let exit = tokio::time::timeout(Duration::from_secs(8), app.exit()).await;
    assert_eq!(exit.expect("the process ends").code(), Some(0));
    let log = database.home.path().join("test.db-wal");
    assert!(
        !log.exists(),
        "the write-ahead log is folded into the database"
    );
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let host = app.address.strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(host).unwrap();
    write!(
        connection,
        "POST /oauth/token HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\ngrant_type="
    )
    .unwrap();
    connection
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn development_seeds_a_demo_client_and_prints_lines_to_paste() {
    let database = Database::sqlite();
    let run = || {
        let output = std::fs::File::create(database.home.path().join("out")).unwrap();
        let mut command = crate::harness::tokensmith(&["dev", "--listen", "127.0.0.1:0"]);
        command.current_dir(database.home.path()).stdout(output);
        command.stderr(std::process::Stdio::null()).spawn().unwrap()
    };
    let mut printed = Vec::new();
    for _ in 0..2 {
        let mut process = run();
        let text = wait::until("it says what to try", || async {
            let text = std::fs::read_to_string(database.home.path().join("out")).unwrap();
            text.contains("Stop with").then_some(text)
        })
        .await;
        let word = |start: &str| {
            let at = text.find(start).unwrap();
            text[at..].split_whitespace().next().unwrap().to_owned()
        };
        let (credential, url) = (word("demo:tss1_"), word("http://127"));
        let (id, secret) = credential.split_once(':').unwrap();
        let reply = reqwest::Client::new()
            .post(format!("{url}/oauth/token"))
            .basic_auth(id, Some(secret))
            .form(&[("grant_type", "client_credentials")])
            .send()
            .await
            .unwrap();
        assert_eq!(reply.status(), 200);
        let page = text
            .split_whitespace()
            .find(|word| word.ends_with("/account,"));
        let page = page.unwrap().trim_end_matches(',');
        assert_eq!(page, format!("{url}/account"));
        // A browser is sent on to the page that asks for name and password.
        let shown = reqwest::get(page).await.unwrap();
        assert_eq!(shown.status(), 200);
        assert!(shown.url().path().ends_with("/login"), "{}", shown.url());
        printed.push(secret.to_owned());
        process.kill().unwrap();
        process.wait().unwrap();
    }
    assert_eq!(
        printed[0], printed[1],
        "the lines work again after a restart"
    );
}
