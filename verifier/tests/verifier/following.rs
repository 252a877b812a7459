//! Revocations over the network, with everything that can go wrong on the way.

use std::time::{Duration, Instant};

use serde_json::json;
use tokensmith_verify::revocation::{
    Event, LIST_BYTES, Position, Transport, Watermark, WatermarkScope, sse,
};
use tokensmith_verify::testing::Forge;
use tokensmith_verify::{ConnectError, Freshness, Reject, RevocationError, Verifier};
use tokio::time::timeout;

use crate::issuer::{AUDIENCE, JWKS, until};
use crate::log::{Log, LogServer, Path, list_event, now_millis};

const SOON: Duration = Duration::from_secs(20);

fn verdict(verifier: &Verifier, token: &str) -> &'static str {
    match verifier.verify(token) {
        Ok(_) => "good",
        Err(reject) => reject.reason(),
    }
}

async fn reached(verifier: &Verifier, position: Position) {
    let reader = verifier.revocation().unwrap();
    timeout(SOON, reader.reached(position))
        .await
        .expect("the position is reached");
}

async fn becomes(verifier: &Verifier, token: &str, expected: &str) {
    until(expected, || verdict(verifier, token) == expected).await;
}

#[tokio::test]
async fn a_token_is_dead_as_soon_as_the_position_of_its_revocation_is_reached() {
    let server = LogServer::start().await;
    let verifier = server.connect(Freshness::Strict).await;
    let (ada, bob) = (server.token(3), server.token(4));
    assert_eq!(verdict(&verifier, &ada), "good");
    reached(&verifier, server.revoke(3)).await;
    assert_eq!(verdict(&verifier, &ada), "revoked");
    assert_eq!(verdict(&verifier, &bob), "good");
    // A token that was signed later is as dead, because the bit is the session's.
    assert_eq!(verdict(&verifier, &server.token(3)), "revoked");
    let stats = verifier.revocation().unwrap().stats();
    assert_eq!((stats.resyncs, stats.reconnects), (0, 0));
    assert_eq!((stats.lists, stats.revoked), (1, 1));
    assert!(stats.is_ready);
}

#[tokio::test]
async fn what_was_revoked_before_is_in_the_snapshot() {
    let server = LogServer::start().await;
    server.revoke(3);
    let client = Watermark {
        scope: WatermarkScope::Client("phone".to_owned()),
        not_before: i64::MAX,
    };
    server.append_event(&Event::Watermark(client));
    let verifier = server.connect(Freshness::Strict).await;
    assert_eq!(verdict(&verifier, &server.token(3)), "revoked");
    let draft = server.log().forge.issue("ada").audience(AUDIENCE);
    let phone = draft.client("phone").status(0, 4).sign();
    assert_eq!(verdict(&verifier, &phone), "cut_off");
    assert_eq!(verdict(&verifier, &server.token(4)), "good");
    // Lists without a bit set are not fetched.
    assert_eq!(server.requested("/status-lists/"), 1);
}

#[tokio::test]
async fn without_revocation_nothing_is_fetched_but_metadata_and_keys() {
    let server = LogServer::start().await;
    let verifier = Verifier::discover(server.url.as_str())
        .audience(AUDIENCE)
        .connect()
        .await
        .unwrap();
    server.revoke(3);
    assert_eq!(verdict(&verifier, &server.token(3)), "good");
    let draft = server.log().forge.issue("ada").audience(AUDIENCE);
    assert_eq!(verdict(&verifier, &draft.sign()), "good", "no status");
    assert!(verifier.revocation().is_none());
    assert_eq!(server.requested("/revocation"), 0);
    assert_eq!(server.requested("/status-lists"), 0);
}

#[tokio::test]
async fn a_verifier_does_not_start_without_a_snapshot() {
    let server = LogServer::start().await;
    let connect = async || {
        let builder = server.builder(Freshness::UntilExpiry);
        builder.connect().await.map(|_| ())
    };
    let answer = |status, body: &str| {
        let path = "/revocation/snapshot".to_owned();
        let answer = (status, None, body.as_bytes().to_vec());
        server.log().answers.insert(path, answer);
    };
    for (status, body) in [(404, ""), (302, ""), (200, ""), (200, "e30.e30.e30")] {
        answer(status, body);
        let error = connect().await.unwrap_err();
        assert!(matches!(error, ConnectError::Revocation(_)), "{error:?}");
    }
    let now = now_millis() / 1_000;
    for (name, value) in [
        ("iss", json!("https://other.example")),
        ("exp", json!(now - 3_600)),
        ("iat", json!(now + 3_600)),
        ("announced", json!(1_u64 << 32)),
        ("lists", json!(["https://other.example/status-lists/0"])),
        ("lists", json!([format!("{}/status-lists/1", server.url)])),
        ("chain", json!("AA")),
        ("epoch", json!(-1)),
        (
            "watermarks",
            json!([{"kid": "forge", "not_before": i64::MAX}]),
        ),
    ] {
        let snapshot = {
            let log = server.log();
            let mut claims = log.snapshot_claims();
            claims[name] = value;
            log.sign("revocation-snapshot+jwt", &claims)
        };
        answer(200, &snapshot);
        let error = connect().await.unwrap_err();
        assert!(
            matches!(error, ConnectError::Revocation(_)),
            "{name}: {error:?}"
        );
    }
    let as_token = {
        let log = server.log();
        log.sign("at+jwt", &log.snapshot_claims())
    };
    answer(200, &as_token);
    assert!(connect().await.is_err());
    server.log().answers.clear();
    assert!(connect().await.is_ok());
}

#[tokio::test]
async fn a_list_that_is_not_exactly_the_one_asked_for_is_not_used() {
    let server = LogServer::start().await;
    server.revoke(3);
    let path = "/status-lists/0";
    let bomb = tokensmith_verify::revocation::deflate(&vec![0; 32 << 20]).unwrap();
    let short = tokensmith_verify::revocation::deflate(&[0; 16]).unwrap();
    let good = server.log().list_claims(0);
    let other = server.log().uri(1);
    let lst = good["status_list"]["lst"].clone();
    for (name, value) in [
        ("sub", json!(other)),
        ("iss", json!("https://other.example")),
        ("exp", json!(1)),
        ("epoch", json!(999)),
        ("status_list", json!({ "bits": 2, "lst": lst })),
        ("status_list", json!({ "bits": 1, "lst": short })),
        ("status_list", json!({ "bits": 1, "lst": bomb })),
        ("status_list", json!({ "bits": 1, "lst": "" })),
        ("status_list", json!({ "bits": 1 })),
    ] {
        let mut claims = good.clone();
        claims[name] = value;
        let jws = server.log().sign("statuslist+jwt", &claims);
        let answer = (200, None, jws.into_bytes());
        server.log().answers.insert(path.to_owned(), answer);
        let error = server
            .builder(Freshness::Strict)
            .connect()
            .await
            .unwrap_err();
        assert!(
            matches!(error, ConnectError::Revocation(_)),
            "{name}: {error:?}"
        );
    }
    let foreign_key = {
        let log = server.log();
        let header = r#"{"alg":"RS256","typ":"statuslist+jwt","kid":"unknown"}"#;
        log.forge.sign_raw(header, good.to_string().as_bytes())
    };
    let as_token = server.log().sign("at+jwt", &good);
    let huge = "x".repeat(300 * 1024);
    for body in [foreign_key, as_token, huge] {
        let answer = (200, None, body.into_bytes());
        server.log().answers.insert(path.to_owned(), answer);
        assert!(server.builder(Freshness::Strict).connect().await.is_err());
    }
}

#[tokio::test]
async fn a_packed_list_is_unpacked_but_no_bomb() {
    use std::io::Write as _;

    let pack = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let server = LogServer::start().await;
    server.revoke(3);
    let jws = {
        let log = server.log();
        log.sign("statuslist+jwt", &log.list_claims(0))
    };
    let serve = |body: Vec<u8>| {
        let answer = (200, Some("gzip"), body);
        server
            .log()
            .answers
            .insert("/status-lists/0".to_owned(), answer);
    };
    serve(pack(&vec![b'a'; 64 << 20]));
    assert!(server.builder(Freshness::Strict).connect().await.is_err());
    serve(pack(jws.as_bytes()));
    let verifier = server.connect(Freshness::Strict).await;
    assert_eq!(verdict(&verifier, &server.token(3)), "revoked");
}

#[tokio::test]
async fn a_stream_that_is_cut_in_the_middle_of_an_event_goes_on_where_it_was() {
    let server = LogServer::start().await;
    let verifier = server.connect(Freshness::Strict).await;
    server.inject("id: 1000.1\nevent: delta\nda");
    server.cut();
    reached(&verifier, server.revoke(3)).await;
    assert_eq!(verdict(&verifier, &server.token(3)), "revoked");
    becomes(&verifier, &server.token(4), "good").await;
    let stats = verifier.revocation().unwrap().stats();
    assert_eq!(stats.resyncs, 0, "the log reaches back");
    assert!(stats.reconnects >= 1);
}

#[tokio::test]
async fn a_connection_that_died_unnoticed_is_given_up() {
    let server = LogServer::start().await;
    let verifier = server.connect(Freshness::Strict).await;
    {
        let mut log = server.log();
        log.frozen_below = log.streams;
    }
    let position = server.revoke(3);
    reached(&verifier, position).await;
    assert_eq!(verdict(&verifier, &server.token(3)), "revoked");
    becomes(&verifier, &server.token(4), "good").await;
}

#[tokio::test]
async fn repeated_events_change_nothing_and_lost_ones_are_made_up_for() {
    let server = LogServer::start().await;
    let verifier = server.connect(Freshness::Strict).await;
    reached(&verifier, server.revoke(3)).await;
    let frames = server.log().events.clone();
    server.inject(sse::frame(&frames[0]).repeat(3));
    reached(&verifier, server.revoke(4)).await;
    assert_eq!(verifier.revocation().unwrap().stats().resyncs, 0);

    // The event after the next.
    let mut beyond = frames[0].clone();
    beyond.position.seq = 4;
    server.inject(sse::frame(&beyond));
    until("a resync", || {
        verifier.revocation().unwrap().stats().resyncs == 1
    })
    .await;
    reached(&verifier, server.revoke(5)).await;
    for idx in [3, 4, 5] {
        assert_eq!(verdict(&verifier, &server.token(idx)), "revoked");
    }
    becomes(&verifier, &server.token(6), "good").await;
}

#[tokio::test]
async fn a_forged_event_rejects_a_good_token_only_until_it_is_found_out() {
    for has_real_event in [true, false] {
        let server = LogServer::start().await;
        let verifier = server.connect(Freshness::Strict).await;
        let (victim, dead) = (server.token(9), server.token(3));
        reached(&verifier, server.revoke(3)).await;
        let uri = server.log().uri(0);
        server.forge_event("delta", &json!({ "list": uri, "idx": [9] }).to_string());
        becomes(&verifier, &victim, "revoked").await;
        if has_real_event {
            server.revoke(4);
        }
        until("the token is good again", || {
            assert_eq!(verdict(&verifier, &dead), "revoked", "at every instant");
            verdict(&verifier, &victim) == "good"
        })
        .await;
        let reader = verifier.revocation().unwrap();
        assert_eq!(reader.stats().resyncs, 1);
        assert_eq!(reader.position(), server.log().position());
    }
}

#[tokio::test]
async fn an_unknown_event_leads_to_a_new_snapshot() {
    let server = LogServer::start().await;
    let verifier = server.connect(Freshness::Strict).await;
    let position = server.append("purge", r#"{"all":true}"#);
    reached(&verifier, position).await;
    becomes(&verifier, &server.token(3), "good").await;
    assert_eq!(verifier.revocation().unwrap().stats().resyncs, 1);
}

#[tokio::test]
async fn only_a_heartbeat_of_the_issuer_for_this_log_and_this_time_makes_fresh() {
    fn signed(log: &Log, typ: &str, name: &str, value: serde_json::Value) -> String {
        let mut claims = log.heartbeat_claims();
        // Later than any that came before.
        claims["as_of"] = json!(now_millis() + 20_000);
        claims[name] = value;
        log.sign(typ, &claims)
    }

    const TYP: &str = "revocation-heartbeat+jwt";
    let forgeries: [fn(&Log) -> String; 9] = [
        |log| {
            let header = format!(r#"{{"alg":"RS256","typ":"{TYP}","kid":"stranger"}}"#);
            log.forge
                .sign_raw(&header, log.heartbeat_claims().to_string().as_bytes())
        },
        |log| signed(log, "at+jwt", "x", json!(1)),
        |log| signed(log, "revocation-snapshot+jwt", "x", json!(1)),
        |log| signed(log, TYP, "iss", json!("https://other.example")),
        |log| signed(log, TYP, "epoch", json!(999)),
        |log| signed(log, TYP, "as_of", json!(now_millis() - 31_000)),
        |log| signed(log, TYP, "as_of", json!(now_millis() + 60_000)),
        // A good one, over and over.
        |log| log.sign(TYP, &log.heartbeat_claims()),
        |_| "rubbish".to_owned(),
    ];
    // All at the same time, because each takes two seconds to show nothing.
    let mut attempts = Vec::new();
    for forgery in forgeries {
        let server = LogServer::start().await;
        let verifier = server.connect(Freshness::Strict).await;
        let token = server.token(3);
        assert_eq!(verdict(&verifier, &token), "good");
        let forged = forgery(&server.log());
        server.log().heartbeat = Some(forged);
        attempts.push((server, verifier, token));
    }
    for (number, (server, verifier, token)) in attempts.iter().enumerate() {
        let what = format!("forgery {number} makes nobody fresh");
        until(&what, || verdict(verifier, token) == "revocation_stale").await;
        server.log().heartbeat = None;
    }
    for (_, verifier, token) in &attempts {
        becomes(verifier, token, "good").await;
    }
}

#[tokio::test]
async fn a_later_epoch_is_followed_and_an_earlier_one_is_not() {
    let server = LogServer::start().await;
    let verifier = server.connect(Freshness::Strict).await;
    let (dead, good) = (server.token(3), server.token(4));
    reached(&verifier, server.revoke(3)).await;
    server.begin_epoch(2_000);
    reached(
        &verifier,
        Position {
            epoch: 2_000,
            seq: 0,
        },
    )
    .await;
    becomes(&verifier, &good, "good").await;
    assert_eq!(verdict(&verifier, &dead), "revoked");

    // A backup that nobody should have restored like this.
    server.begin_epoch(1_500);
    becomes(&verifier, &good, "revocation_stale").await;
    assert_eq!(verdict(&verifier, &dead), "revoked");
    let reader = verifier.revocation().unwrap();
    assert_eq!(reader.position().epoch, 2_000);

    server.begin_epoch(3_000);
    reached(&verifier, server.revoke(5)).await;
    becomes(&verifier, &good, "good").await;
    assert_eq!(
        reader.position(),
        Position {
            epoch: 3_000,
            seq: 1
        }
    );
}

#[tokio::test]
async fn what_happens_when_nothing_is_heard_is_the_policys_choice() {
    let server = LogServer::start().await;
    let strict = server.connect(Freshness::Strict).await;
    let grace = strict.with_freshness(Freshness::Grace(Duration::from_secs(1)));
    let lasting = strict.with_freshness(Freshness::UntilExpiry);
    let (token, dead) = (server.token(3), server.token(4));
    reached(&strict, server.revoke(4)).await;
    assert_eq!(verdict(&strict, &token), "good");

    server.log().path = Path::Partitioned;
    let began = Instant::now();
    becomes(&strict, &token, "revocation_stale").await;
    let strict_after = began.elapsed();
    assert_eq!(verdict(&grace, &token), "good", "a second longer");
    becomes(&grace, &token, "revocation_stale").await;
    let grace_after = began.elapsed();
    assert!(
        (1_700..3_000).contains(&strict_after.as_millis()),
        "{strict_after:?}"
    );
    assert!(
        (2_700..4_000).contains(&grace_after.as_millis()),
        "{grace_after:?}"
    );
    assert_eq!(verdict(&lasting, &token), "good");
    assert!(strict.verify(&token).unwrap_err().is_transient());
    // What is known stays known.
    for verifier in [&strict, &grace, &lasting] {
        assert_eq!(verdict(verifier, &dead), "revoked");
    }

    let position = server.revoke(3);
    server.log().path = Path::Open;
    reached(&lasting, position).await;
    assert_eq!(verdict(&lasting, &token), "revoked");
    becomes(&strict, &server.token(5), "good").await;
}

#[tokio::test]
async fn behind_a_proxy_that_collects_it_asks_again_and_again() {
    let server = LogServer::start().await;
    server.log().path = Path::Buffering;
    let verifier = server.connect(Freshness::Strict).await;
    let reader = verifier.revocation().unwrap();
    assert_eq!(verdict(&verifier, &server.token(3)), "good");
    assert_eq!(reader.stats().transport, Transport::LongPoll);
    reached(&verifier, server.revoke(3)).await;
    assert_eq!(verdict(&verifier, &server.token(3)), "revoked");
    // The log is gone: the answer is 410.
    server.begin_epoch(2_000);
    reached(&verifier, server.revoke(4)).await;
    becomes(&verifier, &server.token(5), "good").await;
    assert_eq!(reader.stats().resyncs, 1);
    // A break in the long poll is one in the stream: both are tried.
    server.log().path = Path::Partitioned;
    becomes(&verifier, &server.token(5), "revocation_stale").await;
    server.log().path = Path::Open;
    becomes(&verifier, &server.token(5), "good").await;
}

#[tokio::test]
async fn a_reader_that_polls_stays_fresh_where_every_answer_has_an_event_after_its_heartbeat() {
    let server = LogServer::start().await;
    server.log().path = Path::Buffering;
    let verifier = server.connect(Freshness::Strict).await;
    let reader = verifier.revocation().unwrap();
    assert_eq!(reader.stats().transport, Transport::LongPoll);
    let token = server.token(0);
    let began = Instant::now();
    let mut dead = 0;
    // Longer than the reader is fresh, and longer than heartbeats of another place are ignored.
    while began.elapsed() < Duration::from_secs(4) {
        server.beat();
        for _ in 0..3 {
            dead += 1;
            reached(&verifier, server.revoke(dead)).await;
        }
        assert_eq!(verdict(&verifier, &token), "good");
        assert_eq!(verdict(&verifier, &server.token(dead)), "revoked");
    }
    assert_eq!(reader.stats().resyncs, 0);
}

#[tokio::test]
async fn without_a_heartbeat_a_verifier_starts_and_the_policy_decides() {
    let server = LogServer::start().await;
    server.log().heartbeat = Some("none".to_owned());
    let builder = server.builder(Freshness::UntilExpiry);
    let timeout = Duration::from_millis(200);
    let verifier = builder.request_timeout(timeout).connect().await.unwrap();
    let token = server.token(3);
    assert_eq!(verdict(&verifier, &token), "good");
    let grace = verifier.with_freshness(Freshness::Grace(Duration::from_hours(1)));
    assert_eq!(verdict(&grace, &token), "revocation_stale");
    assert!(verifier.revocation().unwrap().stats().staleness.is_none());
    server.log().heartbeat = None;
    becomes(&grace, &token, "good").await;
}

#[tokio::test]
async fn any_number_of_lists_may_be_announced() {
    let server = LogServer::start().await;
    server.log().announced = 3_000_000;
    server.log().set(1_234_567, 8);
    let verifier = server.connect(Freshness::Strict).await;
    let forge = server.log().forge.clone();
    let verdict_in = |list, idx| {
        let token = forge.issue("ada").audience(AUDIENCE).status(list, idx);
        verdict(&verifier, &token.sign())
    };
    assert_eq!(verdict_in(1_234_567, 8), "revoked");
    assert_eq!(verdict_in(1_234_567, 9), "good");
    assert_eq!(verdict_in(2_999_999, 9), "good");
    assert_eq!(verdict_in(3_000_000, 9), "unknown_status_list");
    let stats = verifier.revocation().unwrap().stats();
    assert_eq!((stats.lists, stats.bytes), (3_000_000, LIST_BYTES));
    let opened = server.append_event(&list_event(&server, 3_000_000));
    let uri = server.log().uri(2_999_999);
    let data = json!({ "list": uri, "idx": [9] }).to_string();
    let revoked = server.append("delta", &data);
    assert!(opened < revoked);
    reached(&verifier, revoked).await;
    assert_eq!(verdict_in(2_999_999, 9), "revoked");
    assert_eq!(verdict_in(3_000_000, 9), "good");
}

#[tokio::test]
async fn more_lists_with_bits_than_are_kept_are_refused() {
    let server = LogServer::start().await;
    let snapshot = {
        let mut log = server.log();
        log.announced = 3_000_000;
        let mut claims = log.snapshot_claims();
        let lists: Vec<_> = (0..4_097).map(|list| log.uri(list)).collect();
        claims["lists"] = json!(lists);
        log.sign("revocation-snapshot+jwt", &claims)
    };
    let answer = (200, None, snapshot.into_bytes());
    let path = "/revocation/snapshot".to_owned();
    server.log().answers.insert(path, answer);
    let error = server.builder(Freshness::Strict).connect().await;
    let error = error.unwrap_err();
    assert!(
        matches!(
            error,
            ConnectError::Revocation(RevocationError::TooManyLists)
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_key_stays_cut_off_when_a_new_snapshot_has_forgotten_it() {
    let server = LogServer::start().await;
    let spare = {
        let mut log = server.log();
        let spare = log.forge.clone().with_kid("spare");
        log.published.push(spare.clone());
        spare
    };
    let verifier = server.connect(Freshness::Strict).await;
    let reader = verifier.revocation().unwrap();
    let token = spare.issue("ada").audience(AUDIENCE).status(0, 4).sign();
    assert_eq!(verdict(&verifier, &token), "good");
    let position = server.append_event(&Event::Watermark(Watermark {
        scope: WatermarkScope::Kid("spare".to_owned()),
        not_before: i64::MAX,
    }));
    until("a confirmation", || reader.stats().confirmed == position).await;
    server.log().watermarks.clear();
    server.begin_epoch(2_000);
    until("the new epoch", || reader.stats().confirmed.epoch == 2_000).await;
    assert_eq!(verdict(&verifier, &token), "cut_off");
    assert_eq!(verdict(&verifier, &server.token(3)), "good");
}

#[tokio::test]
async fn a_cut_off_key_brings_the_key_after_it_at_once_and_no_more_fetches_than_keys() {
    let server = LogServer::start().await;
    let (spare, next) = {
        let mut log = server.log();
        let (spare, next) = (
            log.forge.clone().with_kid("spare"),
            log.forge.clone().with_kid("next"),
        );
        log.published.push(spare.clone());
        (spare, next)
    };
    // The cooldown is much longer than this test.
    let verifier = server.connect(Freshness::Strict).await;
    let issue = |forge: &Forge| forge.issue("ada").audience(AUDIENCE).status(0, 4).sign();
    let unknown = server.log().forge.clone().with_kid("unknown");
    assert_eq!(verdict(&verifier, &issue(&unknown)), "unknown_kid");
    until("the refetch", || server.requested(JWKS) == 2).await;

    let cut_off = |kid: &str| {
        server.append_event(&Event::Watermark(Watermark {
            scope: WatermarkScope::Kid(kid.to_owned()),
            not_before: i64::MAX,
        }))
    };
    reached(&verifier, cut_off("spare")).await;
    until("the refetch", || server.requested(JWKS) == 3).await;
    // It came too early: this replica has not read yet that there is another key.
    assert_eq!(verdict(&verifier, &issue(&next)), "unknown_kid");
    server.log().published.push(next.clone());
    becomes(&verifier, &issue(&next), "good").await;
    assert_eq!(verdict(&verifier, &issue(&spare)), "cut_off");
    assert_eq!(server.requested(JWKS), 4);
    // The same again, and keys that there are not.
    for kid in ["spare", "unknown", "other"] {
        reached(&verifier, cut_off(kid)).await;
    }
    reached(&verifier, cut_off("next")).await;
    until("the refetches", || server.requested(JWKS) == 6).await;
    assert_eq!(verdict(&verifier, &issue(&next)), "cut_off");
}

#[tokio::test]
async fn a_list_that_is_not_announced_causes_one_look_whatever_tokens_arrive() {
    let server = LogServer::start().await;
    let verifier = server.connect(Freshness::Strict).await;
    let forge = server.log().forge.clone();
    let in_list = |list| forge.issue("ada").audience(AUDIENCE).status(list, 0).sign();
    let tokens: Vec<_> = (1..50).map(in_list).collect();
    for token in &tokens {
        let reject = verifier.verify(token).unwrap_err();
        assert_eq!(reject, Reject::UnknownStatusList);
        assert!(reject.is_transient());
    }
    let reader = verifier.revocation().unwrap();
    until("a resync", || reader.stats().resyncs == 1).await;
    reached(&verifier, server.append_event(&list_event(&server, 1))).await;
    assert_eq!(verdict(&verifier, &tokens[0]), "good");
    assert_eq!(verdict(&verifier, &tokens[1]), "unknown_status_list");
    let uri = server.log().uri(1);
    let data = json!({ "list": uri, "idx": [0] }).to_string();
    reached(&verifier, server.append("delta", &data)).await;
    assert_eq!(verdict(&verifier, &tokens[0]), "revoked");
    assert_eq!(reader.stats().resyncs, 1);
    assert_eq!(server.requested("/revocation/snapshot"), 2);

    // Nothing is ever fetched from elsewhere.
    let elsewhere = forge.issue("ada").audience(AUDIENCE).claim(
        "status",
        json!({ "status_list": { "idx": 0, "uri": "https://other.example/status-lists/0" } }),
    );
    let reject = verifier.verify(&elsewhere.sign()).unwrap_err();
    assert_eq!(reject, Reject::ForeignStatusList);
    assert!(!reject.is_transient());
}

#[tokio::test]
async fn a_revoked_key_signs_neither_tokens_nor_heartbeats() {
    let server = LogServer::start().await;
    let verifier = server.connect(Freshness::Strict).await;
    let token = server.token(3);
    assert_eq!(verdict(&verifier, &token), "good");
    let (old, new) = {
        let mut log = server.log();
        let old = log.forge.clone();
        log.forge = old.clone().with_kid("new");
        log.published = vec![old.clone(), log.forge.clone()];
        (old, log.forge.clone())
    };
    // The refetch that the unknown key of the heartbeats causes.
    becomes(
        &verifier,
        &new.issue("ada").audience(AUDIENCE).status(0, 4).sign(),
        "good",
    )
    .await;
    let key = Watermark {
        scope: WatermarkScope::Kid("forge".to_owned()),
        not_before: i64::MAX,
    };
    reached(&verifier, server.append_event(&Event::Watermark(key))).await;
    assert_eq!(verdict(&verifier, &token), "cut_off");
    assert_eq!(verdict(&verifier, &server.token(4)), "good");
    let reader = verifier.revocation().unwrap();
    until("the cut-off is confirmed", || {
        reader.stats().confirmed.seq == 1
    })
    .await;

    let by_thief = {
        let mut log = server.log();
        log.forge = old;
        log.heartbeat()
    };
    server.log().heartbeat = Some(by_thief);
    server.log().forge = new;
    becomes(&verifier, &server.token(4), "revocation_stale").await;
}

#[tokio::test]
async fn a_relay_passes_on_what_the_issuer_has_signed() {
    let issuer = LogServer::start().await;
    let relay = LogServer::start().await;
    {
        let mut log = relay.log();
        log.forge = issuer.log().forge.clone();
    }
    let builder = issuer.builder(Freshness::Strict);
    let verifier = builder
        .revocation_from(relay.url.clone())
        .connect()
        .await
        .unwrap();
    reached(&verifier, relay.revoke(3)).await;
    assert_eq!(verdict(&verifier, &issuer.token(3)), "revoked");
    assert_eq!(issuer.requested("/revocation"), 0);

    let plain = issuer
        .builder(Freshness::Strict)
        .revocation_from("http://relay.invalid");
    let error = plain.connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::InsecureUrl(_)), "{error:?}");
    let allowed = issuer
        .builder(Freshness::Strict)
        .revocation_from("http://relay.invalid")
        .danger_plain_http_relay();
    let error = allowed.connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Revocation(_)), "{error:?}");
}

#[tokio::test]
async fn a_connection_is_told_when_its_token_dies() {
    let server = LogServer::start().await;
    let verifier = server.connect(Freshness::Strict).await;
    let verified = |idx| verifier.verify(&server.token(idx)).unwrap();
    let (ada, bob) = (verified(3), verified(4));
    let (sender, receiver) = std::sync::mpsc::channel();
    let register = |verified, name: &'static str| {
        let sender = sender.clone();
        verifier.on_revoked(verified, move || sender.send(name).unwrap())
    };
    let _ada = register(&ada, "ada");
    let _again = register(&ada, "again");
    let _bob = register(&bob, "bob");
    drop(register(&ada, "dropped"));
    let watch = verifier.watch(&ada);
    // One that panics takes nothing down with it.
    let _panicking = verifier.on_revoked(&ada, || panic!("on purpose"));

    server.revoke(3);
    timeout(SOON, watch.revoked()).await.unwrap();
    timeout(SOON, verifier.watch(&ada).revoked())
        .await
        .expect("at once");
    let mut told: Vec<_> = receiver.try_iter().collect();
    told.sort_unstable();
    assert_eq!(told, ["ada", "again"]);

    // By a cut-off, and by a snapshot after the events were lost.
    let client = Watermark {
        scope: WatermarkScope::Client("test-client".to_owned()),
        not_before: i64::MAX,
    };
    let watch = verifier.watch(&bob);
    server.append_event(&Event::Watermark(client));
    timeout(SOON, watch.revoked()).await.unwrap();
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), ["bob"]);

    let other = LogServer::start().await;
    let verifier = other.connect(Freshness::Strict).await;
    let watch = verifier.watch(&verifier.verify(&other.token(5)).unwrap());
    other.log().set(0, 5);
    other.begin_epoch(2_000);
    timeout(SOON, watch.revoked()).await.unwrap();
}

#[tokio::test]
async fn everything_stops_with_the_last_verifier() {
    let server = LogServer::start().await;
    let verifier = server.connect(Freshness::Strict).await;
    let clone = verifier.with_freshness(Freshness::UntilExpiry);
    drop(verifier);
    reached(&clone, server.revoke(3)).await;
    assert_eq!(server.log().open_streams, 1);
    drop(clone);
    until("the stream is closed", || server.log().open_streams == 0).await;
}

#[tokio::test]
async fn a_cached_token_is_rejected_as_soon_as_one_that_is_not() {
    let server = LogServer::start().await;
    let builder = server.builder(Freshness::Strict).token_cache(100);
    let verifier = builder.connect().await.unwrap();
    let (ada, bob) = (server.token(3), server.token(4));
    for token in [&ada, &bob, &ada, &bob] {
        assert_eq!(verdict(&verifier, token), "good");
    }
    reached(&verifier, server.revoke(3)).await;
    assert_eq!(verdict(&verifier, &ada), "revoked");
    assert_eq!(verdict(&verifier, &bob), "good");
    server.log().path = Path::Partitioned;
    becomes(&verifier, &bob, "revocation_stale").await;
}
