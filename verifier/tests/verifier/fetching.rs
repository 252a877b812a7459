//! Keys over the network, against a real server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokensmith_verify::testing::Forge;
use tokensmith_verify::{ConnectError, FetchError, NoCustomClaims, Reject, Verifier};
use tokio::task::JoinSet;

use crate::issuer::{AUDIENCE, Answer, Issuer, JWKS, METADATA, until};

const TICK: Duration = Duration::from_millis(20);
const HOUR: Duration = Duration::from_hours(1);

fn token(forge: &Forge) -> String {
    forge.issue("ada").audience(AUDIENCE).sign()
}

#[tokio::test]
async fn the_keys_are_there_once_connected_and_verifying_asks_for_nothing() {
    let issuer = Issuer::start().await;
    let verifier = issuer.discover().connect().await.unwrap();
    for _ in 0..100 {
        assert_eq!(verifier.verify(&token(&issuer.forge())).unwrap().sub, "ada");
    }
    assert_eq!(issuer.jwks_requests().len(), 1);
}

#[tokio::test]
async fn a_given_jwks_uri_needs_no_metadata() {
    let issuer = Issuer::start().await;
    issuer.serve(METADATA, Answer::status("404 Not Found"));
    let jwks_uri = format!("{}{JWKS}", issuer.url);
    let verifier = issuer
        .discover()
        .jwks_uri(jwks_uri)
        .connect()
        .await
        .unwrap();
    assert!(verifier.verify(&token(&issuer.forge())).is_ok());
}

#[tokio::test]
async fn the_refresh_follows_max_age_within_its_bounds() {
    let issuer = Issuer::start().await;
    let answer = Answer::json(issuer.forge().jwks()).header("cache-control", "max-age=1");
    issuer.serve(JWKS, answer);
    let _verifier = issuer
        .discover()
        .refresh_between(TICK, HOUR)
        .connect()
        .await
        .unwrap();
    issuer.jwks_requested(2).await;

    let patient = Issuer::start().await;
    let answer = Answer::json(patient.forge().jwks()).header("cache-control", "max-age=600");
    patient.serve(JWKS, answer);
    let _verifier = patient
        .discover()
        .refresh_between(TICK, HOUR)
        .connect()
        .await
        .unwrap();
    // The other issuer is asked again and again in the same time.
    issuer
        .jwks_requested(issuer.jwks_requests().len() + 2)
        .await;
    assert_eq!(patient.jwks_requests().len(), 1);
}

#[tokio::test]
async fn an_unchanged_set_is_confirmed_by_its_etag() {
    let issuer = Issuer::start().await;
    let answer = Answer::json(issuer.forge().jwks()).header("etag", "\"v1\"");
    issuer.serve(JWKS, answer);
    let verifier = issuer
        .discover()
        .refresh_between(TICK, TICK)
        .connect()
        .await
        .unwrap();
    issuer.serve(
        JWKS,
        Answer::status("304 Not Modified").header("etag", "\"v1\""),
    );
    issuer.jwks_requested(3).await;

    let requests = issuer.jwks_requests();
    assert!(!requests[0].contains("if-none-match"));
    assert!(
        requests[1].contains("if-none-match: \"v1\""),
        "{}",
        requests[1]
    );
    assert!(verifier.verify(&token(&issuer.forge())).is_ok());
}

#[tokio::test]
async fn a_refresh_replaces_the_set_and_merges_nothing() {
    let issuer = Issuer::start().await;
    let (old, new) = (issuer.forge(), issuer.forge().with_kid("new"));
    let verifier = issuer
        .discover()
        .refresh_between(TICK, TICK)
        .connect()
        .await
        .unwrap();
    assert!(verifier.verify(&token(&old)).is_ok());

    issuer.serve_keys_of(&[&new]);
    until("the new key is used", || {
        verifier.verify(&token(&new)).is_ok()
    })
    .await;
    assert_eq!(verifier.verify(&token(&old)), Err(Reject::UnknownKid));
}

#[tokio::test]
async fn the_first_token_of_a_new_key_waits_for_the_refetch() {
    let issuer = Issuer::start().await;
    let new = issuer.forge().with_kid("new");
    let verifier = issuer.discover().connect().await.unwrap();
    issuer.serve_keys_of(&[&issuer.forge(), &new]);

    let tokens: Vec<_> = (0..50).map(|_| token(&new)).collect();
    let mut waiting = JoinSet::new();
    for token in tokens {
        let verifier = verifier.clone();
        waiting.spawn(async move { verifier.verify_waiting::<NoCustomClaims>(&token).await });
    }
    assert!(waiting.join_all().await.iter().all(Result::is_ok));
    let requests = issuer.jwks_requests();
    assert_eq!(requests.len(), 2);
    assert!(
        requests[1].contains("cache-control: no-cache"),
        "{}",
        requests[1]
    );
}

#[tokio::test]
async fn a_synchronous_verify_rejects_at_once_and_asks_in_the_background() {
    let issuer = Issuer::start().await;
    let new = issuer.forge().with_kid("new");
    let verifier = issuer.discover().connect().await.unwrap();
    issuer.serve_keys_of(&[&new]);
    assert_eq!(verifier.verify(&token(&new)), Err(Reject::UnknownKid));
    until("the new key is used", || {
        verifier.verify(&token(&new)).is_ok()
    })
    .await;
    assert_eq!(issuer.jwks_requests().len(), 2);
}

#[tokio::test]
async fn a_flood_of_unknown_kids_causes_one_fetch() {
    let issuer = Issuer::start().await;
    let verifier = issuer.discover().connect().await.unwrap();
    // A payload is not looked at before the key, so the flood need not be signed.
    let flood: Vec<String> = (0..1_000)
        .map(|n| {
            let header = format!(r#"{{"alg":"RS256","typ":"at+jwt","kid":"{n}"}}"#);
            format!("{}.e30.AA", crate::signer::encode(header))
        })
        .collect();
    for token in &flood {
        assert_eq!(verifier.verify(token), Err(Reject::UnknownKid));
    }
    issuer.jwks_requested(2).await;
    for token in &flood {
        let outcome = verifier.verify_waiting::<NoCustomClaims>(token).await;
        assert_eq!(outcome, Err(Reject::UnknownKid));
    }
    assert_eq!(issuer.jwks_requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_flood_of_unknown_kids_from_many_tasks_causes_one_fetch_in_a_cooldown() {
    const COOLDOWN: Duration = Duration::from_millis(300);
    const FETCHES: usize = 4;
    let issuer = Issuer::start().await;
    let start = Instant::now();
    let builder = issuer.discover().refetch_cooldown(COOLDOWN);
    let verifier = builder.connect().await.unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let mut flood = JoinSet::new();
    for task in 0..100 {
        let (verifier, is_over) = (verifier.clone(), Arc::clone(&is_over));
        flood.spawn(async move {
            let mut sent = 0;
            // At least a hundred ids each, and no two tasks the same.
            while sent < 100 || !is_over.load(Ordering::Relaxed) {
                let kid = format!("{task}-{sent}");
                let header = format!(r#"{{"alg":"RS256","typ":"at+jwt","kid":"{kid}"}}"#);
                let token = format!("{}.e30.AA", crate::signer::encode(header));
                let outcome = if sent % 2 == 0 {
                    verifier.verify_waiting::<NoCustomClaims>(&token).await
                } else {
                    verifier.verify(&token)
                };
                assert_eq!(outcome, Err(Reject::UnknownKid));
                sent += 1;
                tokio::task::yield_now().await;
            }
            sent
        });
    }
    issuer.jwks_requested(FETCHES).await;
    let took = start.elapsed();
    is_over.store(true, Ordering::Relaxed);
    let sent: usize = flood.join_all().await.into_iter().sum();
    assert!(sent >= 10_000, "{sent}");
    // The first fetch is that of `connect`, the next comes with the first unknown id.
    let cooldowns = u32::try_from(FETCHES - 2).unwrap();
    assert!(
        took >= COOLDOWN * cooldowns,
        "{FETCHES} fetches in {took:?}"
    );
}

#[tokio::test]
async fn no_address_in_a_token_is_ever_called() {
    let (issuer, other) = (Issuer::start().await, Issuer::start().await);
    let verifier = issuer.discover().connect().await.unwrap();
    let (jwks, url) = (format!("{}{JWKS}", other.url), other.url.as_str());
    for name in ["jku", "x5u", "iss", "jwks_uri"] {
        for kid in ["forge", "unknown", jwks.as_str()] {
            let header = serde_json::json!({
                "alg": "RS256", "typ": "at+jwt", "kid": kid, name: jwks,
            });
            let token = Forge::for_issuer(url)
                .issue("ada")
                .audience(AUDIENCE)
                .header(header.to_string())
                .claim("jwks_uri", jwks.as_str())
                .sign();
            let outcome = verifier.verify_waiting::<NoCustomClaims>(&token).await;
            let expected = if kid == "forge" {
                Reject::WrongIssuer
            } else {
                Reject::UnknownKid
            };
            assert_eq!(outcome, Err(expected), "{name} {kid}");
        }
    }
    assert_eq!(other.jwks_requests().len(), 0);
    assert_eq!(issuer.jwks_requests().len(), 2);
}

#[tokio::test]
async fn a_kid_that_was_not_found_causes_no_other_fetch_after_the_cooldown() {
    let issuer = Issuer::start().await;
    let verifier = issuer
        .discover()
        .refetch_cooldown(Duration::from_millis(300))
        .connect()
        .await
        .unwrap();
    let (absent, new) = (
        issuer.forge().with_kid("absent"),
        issuer.forge().with_kid("new"),
    );
    let verify = async |forge: &Forge| {
        verifier
            .verify_waiting::<NoCustomClaims>(&token(forge))
            .await
    };
    assert!(verify(&absent).await.is_err());
    assert_eq!(issuer.jwks_requests().len(), 2);
    issuer.serve_keys_of(&[&issuer.forge(), &new]);
    // The cooldown is over as soon as the new key is found; the absent one never asked again.
    until("the new key is used", || {
        assert!(verifier.verify(&token(&absent)).is_err());
        verifier.verify(&token(&new)).is_ok()
    })
    .await;
    assert_eq!(issuer.jwks_requests().len(), 3);
}

#[tokio::test]
async fn an_issuer_that_is_down_leaves_the_keys_in_use() {
    let issuer = Issuer::start().await;
    let verifier = issuer
        .discover()
        .refresh_between(TICK, TICK)
        .connect()
        .await
        .unwrap();
    for answer in [
        Answer::status("503 Service Unavailable"),
        Answer::status("304 Not Modified"),
        Answer::json("<html>"),
        Answer::json(r#"{"keys":"none"}"#),
        Answer::json("x".repeat(300_000)),
        Answer::status("302 Found").header("location", format!("{}/elsewhere", issuer.url)),
    ] {
        issuer.serve(JWKS, answer);
        issuer
            .jwks_requested(issuer.jwks_requests().len() + 2)
            .await;
        assert!(verifier.verify(&token(&issuer.forge())).is_ok());
    }
    let new = issuer.forge().with_kid("new");
    issuer.serve_keys_of(&[&new]);
    until("the refresh recovers", || {
        verifier.verify(&token(&new)).is_ok()
    })
    .await;
}

#[tokio::test]
async fn keys_that_are_too_stale_are_no_longer_believed_until_a_refresh_works() {
    let issuer = Issuer::start().await;
    let answer = Answer::json(issuer.forge().jwks()).header("etag", "\"v1\"");
    issuer.serve(JWKS, answer.clone());
    let verifier = issuer
        .discover()
        .refresh_between(TICK, TICK)
        .max_stale(Duration::from_millis(100))
        .connect()
        .await
        .unwrap();
    issuer.serve(JWKS, Answer::status("503 Service Unavailable"));
    let good = token(&issuer.forge());
    until("the keys are given up", || {
        verifier.verify(&good) == Err(Reject::KeysUnavailable)
    })
    .await;
    issuer.serve(JWKS, answer);
    until("the keys are back", || verifier.verify(&good).is_ok()).await;
}

#[tokio::test]
async fn a_set_without_usable_keys_is_obeyed() {
    let issuer = Issuer::start().await;
    let verifier = issuer
        .discover()
        .refresh_between(TICK, TICK)
        .connect()
        .await
        .unwrap();
    issuer.serve(JWKS, Answer::json(r#"{"keys":[]}"#));
    let good = token(&issuer.forge());
    until("no key is left", || {
        verifier.verify(&good) == Err(Reject::KeysUnavailable)
    })
    .await;
}

#[tokio::test]
async fn the_refresh_stops_with_the_last_verifier() {
    let issuer = Issuer::start().await;
    let verifier = issuer
        .discover()
        .refresh_between(TICK, TICK)
        .connect()
        .await
        .unwrap();
    let clone = verifier.clone();
    drop(verifier);
    issuer
        .jwks_requested(issuer.jwks_requests().len() + 2)
        .await;
    drop(clone);
    // A second verifier's requests show that time passes while the first stays silent.
    let witness = Issuer::start().await;
    let _verifier = witness
        .discover()
        .refresh_between(TICK, TICK)
        .connect()
        .await
        .unwrap();
    witness.jwks_requested(3).await;
    let requests = issuer.jwks_requests().len();
    witness
        .jwks_requested(witness.jwks_requests().len() + 5)
        .await;
    assert_eq!(issuer.jwks_requests().len(), requests);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let issuer = Issuer::start().await;
    let other = Issuer::start().await;
    issuer.serve(
        JWKS,
        Answer::status("302 Found").header("location", format!("{}{JWKS}", other.url)),
    );
    let error = issuer.discover().connect().await.unwrap_err();
    assert!(
        matches!(error, ConnectError::Jwks(FetchError::Status(302))),
        "{error:?}"
    );
    issuer.serve(
        METADATA,
        Answer::status("307 Temporary Redirect").header("location", other.url.clone()),
    );
    let error = issuer.discover().connect().await.unwrap_err();
    assert!(
        matches!(error, ConnectError::Metadata(FetchError::Status(307))),
        "{error:?}"
    );
    assert_eq!(other.jwks_requests().len(), 0);
}

#[tokio::test]
async fn an_oversized_answer_is_cut_off_also_when_it_hides_its_length() {
    let issuer = Issuer::start().await;
    let chunk = format!("{:x}\r\n{}\r\n", 70_000, "x".repeat(70_000)).repeat(5);
    issuer.serve(
        JWKS,
        Answer::json(chunk).header("transfer-encoding", "chunked"),
    );
    let error = issuer.discover().connect().await.unwrap_err();
    assert!(
        matches!(error, ConnectError::Jwks(FetchError::TooLarge(_))),
        "{error:?}"
    );
    issuer.serve(METADATA, Answer::json("x".repeat(70_000)));
    let error = issuer.discover().connect().await.unwrap_err();
    assert!(
        matches!(error, ConnectError::Metadata(FetchError::TooLarge(_))),
        "{error:?}"
    );
}

#[tokio::test]
async fn keys_are_not_fetched_in_the_clear_from_another_machine() {
    for issuer in [
        "http://auth.example.com",
        "http://10.0.0.1",
        "https://user@auth.example.com",
    ] {
        let error = Verifier::discover(issuer)
            .audience(AUDIENCE)
            .connect()
            .await
            .unwrap_err();
        assert!(matches!(error, ConnectError::InsecureUrl(_)), "{error:?}");
    }
    let issuer = Issuer::start().await;
    for jwks_uri in [
        "http://auth.example.com/jwks",
        "file:///etc/passwd",
        "data:,{}",
        "",
    ] {
        issuer.serve_metadata(&issuer.url, jwks_uri);
        let error = issuer.discover().connect().await.unwrap_err();
        assert!(matches!(error, ConnectError::InsecureUrl(_)), "{error:?}");
        let error = issuer
            .discover()
            .jwks_uri(jwks_uri)
            .connect()
            .await
            .unwrap_err();
        assert!(matches!(error, ConnectError::InsecureUrl(_)), "{error:?}");
    }
}

#[tokio::test]
async fn metadata_of_another_issuer_is_refused() {
    let issuer = Issuer::start().await;
    for other in [
        "https://auth.example.com".to_owned(),
        format!("{}/", issuer.url),
    ] {
        issuer.serve_metadata(&other, &format!("{}{JWKS}", issuer.url));
        let error = issuer.discover().connect().await.unwrap_err();
        assert!(
            matches!(error, ConnectError::IssuerMismatch { .. }),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn metadata_cannot_send_requests_to_another_origin() {
    let (issuer, other) = (Issuer::start().await, Issuer::start().await);
    issuer.serve_metadata(&issuer.url, &format!("{}{JWKS}", other.url));
    let error = issuer.discover().connect().await.unwrap_err();
    assert!(
        matches!(error, ConnectError::ForeignJwksUri(_)),
        "{error:?}"
    );
    assert_eq!(other.jwks_requests().len(), 0);
}

#[tokio::test]
async fn malformed_metadata_is_refused() {
    let issuer = Issuer::start().await;
    for body in [
        "",
        "[]",
        "{}",
        r#"{"issuer":1,"jwks_uri":"x"}"#,
        r#"{"issuer":"a","issuer":"b"}"#,
    ] {
        issuer.serve(METADATA, Answer::json(body));
        let error = issuer.discover().connect().await.unwrap_err();
        assert!(
            matches!(error, ConnectError::MalformedMetadata),
            "{body}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_verifier_does_not_start_without_keys() {
    let issuer = Issuer::start().await;
    for body in [
        r#"{"keys":[]}"#.to_owned(),
        r#"{"keys":[{"kty":"oct"}]}"#.to_owned(),
    ] {
        issuer.serve(JWKS, Answer::json(body));
        let error = issuer.discover().connect().await.unwrap_err();
        assert!(matches!(error, ConnectError::Config(_)), "{error:?}");
    }
}
