//! Connections that do nothing, too little, or too much.

use std::time::{Duration, Instant};

use crate::harness::wire::Wire;
use crate::harness::{Database, TestApp, wait};

/// Sends a byte now and then, as a client does that keeps a connection busy with as little as it can.
async fn drip(wire: &mut Wire) {
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    loop {
        tick.tick().await;
        if wire.send("x").await.is_err() {
            return;
        }
    }
}

/// How long the service bears with a client that drips, and what it says in the end.
async fn patience(mut wire: Wire) -> (Duration, String) {
    let start = Instant::now();
    let _given_up = tokio::time::timeout(Duration::from_secs(14), drip(&mut wire)).await;
    (start.elapsed(), wire.answer().await)
}

#[tokio::test]
async fn attack_42_a_request_that_drips_is_not_waited_for() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let mut head = Wire::to(&app).await;
    head.send("POST /oauth/token HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        .await
        .unwrap();
    let mut body = Wire::to(&app).await;
    let start = format!(
        "POST /oauth/token HTTP/1.1\r\nHost: {}\r\nContent-Length: 10000\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\ngrant_type=",
        body.host
    );
    body.send(start).await.unwrap();
    let ((of_head, _), (of_body, _)) = tokio::join!(patience(head), patience(body));
    assert!(
        of_head < Duration::from_secs(9),
        "five seconds for a head: {of_head:?}"
    );
    assert!(
        of_body < Duration::from_secs(14),
        "ten seconds for a body: {of_body:?}"
    );
    assert_eq!(app.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn attack_42_idle_connections_make_room_for_others() {
    let database = Database::sqlite();
    let few = [("TOKENSMITH_LIMITS_CONNECTIONS", "32")];
    let app = TestApp::start_with(&database, &few).await;
    let mut idle = Vec::new();
    for _ in 0..64 {
        idle.push(Wire::to(&app).await);
    }
    // They are all the server takes; but who says nothing is not kept.
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/healthz", app.address);
    let reply = tokio::time::timeout(Duration::from_secs(25), http.get(&url).send());
    assert_eq!(reply.await.expect("there is room").unwrap().status(), 200);
    assert!(app.open_sockets() < 60, "{}", app.open_sockets());
    for wire in &mut idle {
        wire.answer().await;
    }
}

#[tokio::test]
async fn attack_42_a_second_request_that_never_ends_is_not_waited_for_either() {
    let database = Database::sqlite();
    let settings = [
        ("TOKENSMITH_LIMITS_CONNECTIONS", "32"),
        ("TOKENSMITH_LIMITS_IDLE_TIMEOUT", "3s"),
    ];
    let app = TestApp::start_with(&database, &settings).await;
    let first = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut held = Vec::new();
    for number in 0..32 {
        let mut wire = Wire::to(&app).await;
        let request = match number % 3 {
            0 => format!("{first}G"),
            1 => format!("{first}GET /healthz HTTP/1.1\r\nX: "),
            _ => {
                "POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned()
            }
        };
        wire.send(request).await.unwrap();
        held.push(wire);
    }
    // They are all that the server takes. One drips, the others are silent.
    let mut dripping = held.pop().unwrap();
    let dripped = tokio::time::timeout(Duration::from_secs(15), drip(&mut dripping));
    let gone = futures_util::future::join_all(held.iter_mut().map(Wire::answer));
    let (dripped, _) = tokio::join!(dripped, gone);
    assert!(dripped.is_ok(), "a byte now and then keeps nothing open");
    assert_eq!(app.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn attack_42_who_asks_and_never_reads_is_given_up() {
    let database = Database::sqlite();
    let impatient = [("TOKENSMITH_LIMITS_UNREAD_TIMEOUT", "1s")];
    let app = TestApp::start_with(&database, &impatient).await;
    app.get("/healthz").await;
    let sockets = app.open_sockets();
    let before = app.resident_kib();
    let mut wires = Vec::new();
    for _ in 0..8 {
        let mut wire = Wire::narrow(&app, 4096).await;
        let request = "GET /healthz HTTP/1.1\r\n\r\n";
        // As many requests as are taken, on one connection, and no answer is read.
        wire.flood(request.repeat(100).as_bytes()).await;
        wires.push(wire);
    }
    let grown = app.resident_kib().saturating_sub(before);
    // Half a MiB each; without a bound on requests that wait it was twenty.
    assert!(grown < 16 * 1024, "{grown} KiB for eight connections");
    wait::until("the service has given them up", || async {
        (app.open_sockets() <= sockets + 1).then_some(())
    })
    .await;
    drop(wires);
    assert_eq!(app.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn attack_42_a_reader_of_the_log_that_does_not_read_loses_its_place() {
    let database = Database::sqlite();
    let impatient = [("TOKENSMITH_LIMITS_UNREAD_TIMEOUT", "1s")];
    let app = TestApp::start_with(&database, &impatient).await;
    let mut wire = Wire::narrow(&app, 1024).await;
    let request = format!(
        "GET /revocation/stream HTTP/1.1\r\nHost: {}\r\n\r\n",
        wire.host
    );
    wire.send(request).await.unwrap();
    let streams = async || app.metric("tokensmith_revocation_streams", "").await;
    wait::until("the reader has its place", || async {
        (streams().await >= 1.0).then_some(())
    })
    .await;
    wait::until("the place is free again", || async {
        (streams().await < 1.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn attack_42_what_a_reader_of_the_log_sends_keeps_no_core_busy() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let mut wire = Wire::to(&app).await;
    let stream = format!(
        "GET /revocation/stream HTTP/1.1\r\nHost: {}\r\n\r\n",
        wire.host
    );
    wire.send(stream).await.unwrap();
    let more = "GET /healthz HTTP/1.1\r\n\r\n".repeat(1_000);
    wire.flood(more.as_bytes()).await;
    let before = app.cpu_ticks();
    let mut tick = tokio::time::interval(Duration::from_secs(2));
    tick.tick().await;
    tick.tick().await;
    // A whole core would have used two hundred.
    let used = app.cpu_ticks() - before;
    assert!(used < 100, "{used} hundredths of a second of two seconds");
}

#[tokio::test]
async fn attack_16_a_head_that_is_too_large_is_refused() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let long = "x".repeat(300 * 1024);
    let many = "X-Many: 1\r\n".repeat(500);
    for head in [
        format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: {long}\r\n\r\n"),
        format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!("GET /healthz?{long} HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{many}\r\n"),
        format!("{long} /healthz HTTP/1.1\r\nHost: x\r\n\r\n"),
    ] {
        let mut wire = Wire::to(&app).await;
        // The service may close before it has taken everything.
        let _closed = wire.send(&head).await;
        let answer = wire.answer().await;
        let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
        assert!(refused, "{}: {answer}", &head[..40]);
    }
    assert_eq!(app.get("/healthz").await.status, 200);
}
