//! Revocation as a test without a network plays it: policies, cut-offs, the cache, the frameworks.

use std::time::Duration;

use actix_web::{App, test as actix_test, web};
use axum::body::Body;
use axum::{Router, routing::get};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokensmith_verify::actix::{Bearer, RequireScope};
use tokensmith_verify::revocation::{Watermark, WatermarkScope};
use tokensmith_verify::testing::{Forge, Revocations};
use tokensmith_verify::tower::BearerLayer;
use tokensmith_verify::{Freshness, KeySet, Reject, Verifier};
use tower::ServiceExt as _;

use crate::issuer::AUDIENCE;
use crate::signer::encode;

const SECOND: Duration = Duration::from_secs(1);

fn setup() -> (Forge, Revocations, Verifier) {
    let forge = Forge::new();
    let revocations = forge.revocations();
    let verifier = forge.revoking_verifier(AUDIENCE, &revocations, Freshness::Strict);
    (forge, revocations, verifier)
}

fn token(forge: &Forge) -> String {
    forge.issue("ada").audience(AUDIENCE).revocable().sign()
}

fn with_cache(forge: &Forge, revocations: &Revocations) -> Verifier {
    let keys = KeySet::from_json(&forge.jwks()).unwrap();
    Verifier::with_keys(forge.issuer(), keys)
        .audience(AUDIENCE)
        .revocations(revocations, Freshness::Strict)
        .token_cache(10)
        .build()
        .unwrap()
}

#[test]
fn a_status_that_was_cut_out_of_a_token_takes_the_signature_with_it() {
    let (forge, revocations, verifier) = setup();
    let token = token(&forge);
    revocations.revoke(&token);
    assert_eq!(verifier.verify(&token), Err(Reject::Revoked));

    let mut parts = token.split('.');
    let (header, payload) = (parts.next().unwrap(), parts.next().unwrap());
    let signature = parts.next().unwrap();
    let mut claims: serde_json::Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    let mut cut_out = claims.clone();
    cut_out.as_object_mut().unwrap().remove("status").unwrap();
    claims["status"]["status_list"]["idx"] = serde_json::json!(1_000_000);
    for changed in [cut_out, claims] {
        let payload = encode(changed.to_string());
        let token = format!("{header}.{payload}.{signature}");
        assert_eq!(verifier.verify(&token), Err(Reject::BadSignature));
    }
    // Where the issuer itself has left it out, it is missed.
    let without = forge.issue("ada").audience(AUDIENCE).sign();
    assert_eq!(
        verifier.verify(&without),
        Err(Reject::MissingClaim("status"))
    );
}

#[test]
fn each_policy_has_its_patience() {
    let (forge, revocations, strict) = setup();
    let grace = strict.with_freshness(Freshness::Grace(5 * SECOND));
    let default = strict.with_freshness(Freshness::default());
    let lasting = strict.with_freshness(Freshness::UntilExpiry);
    let token = token(&forge);
    for (staleness, expected) in [
        (SECOND, [true, true, true, true]),
        (3 * SECOND, [false, true, true, true]),
        (8 * SECOND, [false, false, true, true]),
        (13 * SECOND, [false, false, false, true]),
        (Duration::from_hours(10), [false, false, false, true]),
    ] {
        revocations.fall_silent(staleness);
        let verifiers = [&strict, &grace, &default, &lasting];
        let outcomes = verifiers.map(|verifier| verifier.verify(&token).is_ok());
        assert_eq!(outcomes, expected, "{staleness:?}");
    }
    assert_eq!(strict.verify(&token), Err(Reject::RevocationStale));
    revocations.be_heard();
    assert!(strict.verify(&token).is_ok());
}

#[test]
fn the_cache_looks_again_at_all_that_can_change() {
    let (forge, revocations, _) = setup();
    let verifier = with_cache(&forge, &revocations);
    let now = verifier.verify(&token(&forge)).unwrap().iat;
    let verify =
        |token: &str, now| verifier.verify_at::<tokensmith_verify::NoCustomClaims>(token, now);
    let token = token(&forge);
    let first = verify(&token, now).unwrap();
    assert_eq!(verify(&token, now).unwrap(), first, "the same claims");
    assert_eq!(verify(&token, now).unwrap().kid(), "forge");

    assert_eq!(verify(&token, now + 330), Err(Reject::Expired));
    assert_eq!(verify(&token, now - 60), Err(Reject::IssuedInFuture));
    revocations.fall_silent(3 * SECOND);
    assert_eq!(verify(&token, now), Err(Reject::RevocationStale));
    revocations.be_heard();
    assert!(verify(&token, now).is_ok());
    revocations.cut_off(Watermark {
        scope: WatermarkScope::Kid("forge".to_owned()),
        not_before: now + 1,
    });
    assert_eq!(verify(&token, now), Err(Reject::CutOff));
}

#[test]
fn a_revoked_token_is_rejected_from_the_cache_too() {
    let (forge, revocations, _) = setup();
    let verifier = with_cache(&forge, &revocations);
    let (ada, bob) = (token(&forge), token(&forge));
    assert!(verifier.verify(&ada).is_ok() && verifier.verify(&bob).is_ok());
    revocations.revoke(&ada);
    assert_eq!(verifier.verify(&ada), Err(Reject::Revoked));
    assert!(verifier.verify(&bob).is_ok());
}

#[test]
fn another_key_set_makes_the_cache_forget() {
    let (forge, revocations, _) = setup();
    let verifier = with_cache(&forge, &revocations);
    let token = token(&forge);
    assert!(verifier.verify(&token).is_ok());
    verifier.replace_keys(KeySet::from_json(&forge.clone().with_kid("new").jwks()).unwrap());
    assert_eq!(verifier.verify(&token), Err(Reject::UnknownKid));
    verifier.replace_keys(KeySet::default());
    assert_eq!(verifier.verify(&token), Err(Reject::KeysUnavailable));
    verifier.replace_keys(KeySet::from_json(&forge.jwks()).unwrap());
    assert!(verifier.verify(&token).is_ok());
}

#[test]
fn the_cache_gives_every_caller_its_own_claims_and_takes_no_other_token() {
    #[derive(Debug, serde::Deserialize)]
    struct Tenant {
        tenant: String,
    }

    let (forge, revocations, _) = setup();
    let verifier = with_cache(&forge, &revocations);
    let draft = forge.issue("ada").audience(AUDIENCE).revocable();
    let token = draft.claim("tenant", "acme").sign();
    for _ in 0..2 {
        assert_eq!(verifier.verify(&token).unwrap().sub, "ada");
        let claims = verifier.verify_as::<Tenant>(&token).unwrap();
        assert_eq!(claims.custom.tenant, "acme");
    }
    // The same end, and so the same place in the cache.
    let (first, rest) = token.split_once('.').unwrap();
    for other in [
        format!("{first}.{}{rest}", "A"),
        format!("A{token}"),
        token.get(1..).unwrap().to_owned(),
    ] {
        assert!(verifier.verify(&other).is_err());
    }
    // More tokens than it holds.
    for _ in 0..50 {
        let token = self::token(&forge);
        assert!(verifier.verify(&token).is_ok());
        assert!(verifier.verify(&token).is_ok());
    }
}

#[actix_web::test]
async fn each_route_has_its_policy_and_a_stale_one_answers_503() {
    async fn subject(bearer: Bearer) -> String {
        bearer.sub.clone()
    }

    let (forge, revocations, verifier) = setup();
    let default = verifier.with_freshness(Freshness::default());
    let lasting = verifier.with_freshness(Freshness::UntilExpiry);
    let draft = forge.issue("ada").audience(AUDIENCE).scope("pay");
    let token = draft.revocable().sign();
    let strict_guard = RequireScope::parse("pay")
        .unwrap()
        .freshness(Freshness::Strict);
    let lax_guard = RequireScope::parse("pay")
        .unwrap()
        .freshness(Freshness::UntilExpiry);
    let actix = App::new()
        .app_data(web::Data::new(default.clone()))
        .route("/orders", web::get().to(subject))
        .route("/pay", web::get().to(subject).wrap(strict_guard))
        // What the lax guard lets through is not enough for the handler's own policy.
        .route("/odd", web::get().to(subject).wrap(lax_guard))
        .service(
            web::scope("/archive")
                .app_data(web::Data::new(lasting.clone()))
                .route("/orders", web::get().to(subject)),
        );
    let actix = actix_test::init_service(actix).await;
    let strict = BearerLayer::new(verifier);
    let axum = Router::new()
        .route(
            "/orders",
            get(async || "x").layer(BearerLayer::new(default.clone())),
        )
        .route("/odd", get(async || "x").layer(BearerLayer::new(default)))
        .route("/pay", get(async || "x").layer(strict))
        .route(
            "/archive/orders",
            get(async || "x").layer(BearerLayer::new(lasting)),
        );
    for (staleness, expected) in [
        (SECOND, [200, 200, 200, 200]),
        (5 * SECOND, [200, 503, 200, 200]),
        (60 * SECOND, [503, 503, 503, 200]),
    ] {
        revocations.fall_silent(staleness);
        for (path, status) in ["/orders", "/pay", "/odd", "/archive/orders"]
            .iter()
            .zip(expected)
        {
            let bearer = format!("Bearer {token}");
            let request = actix_test::TestRequest::get().uri(path);
            let request = request.append_header(("authorization", bearer.as_str()));
            let response = actix_test::call_service(&actix, request.to_request()).await;
            let has_retry_after = response.headers().contains_key("retry-after");
            assert_eq!(response.status().as_u16(), status, "{path} {staleness:?}");
            assert_eq!(has_retry_after, status == 503);

            let request = http::Request::get(*path).header("authorization", bearer);
            let request = request.body(Body::empty()).unwrap();
            let response = axum.clone().oneshot(request).await.unwrap();
            let has_retry_after = response.headers().contains_key("retry-after");
            assert_eq!(response.status().as_u16(), status, "{path} {staleness:?}");
            assert_eq!(has_retry_after, status == 503);
        }
    }
    revocations.revoke(&token);
    let request = actix_test::TestRequest::get().uri("/archive/orders");
    let request = request.append_header(("authorization", format!("Bearer {token}")));
    let response = actix_test::call_service(&actix, request.to_request()).await;
    assert_eq!(response.status().as_u16(), 401, "known to be dead");
}
