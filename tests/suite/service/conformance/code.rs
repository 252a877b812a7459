//! The authorization code and what it is exchanged for.

use reqwest::Method;

use super::relying_party::{Answer, RelyingParty, SCOPE, register, request_of};
use crate::harness::authorize::{AuthorizationRequest, Callback, REDIRECT_URI};
use crate::harness::login::{VERIFIER, s256};
use crate::harness::person::Person;
use crate::harness::{Database, TestApp, on_every_database, wait};

on_every_database! {
    async fn a_code_is_exchanged_for_tokens_that_pass_every_check(database) {
        let mut suite = RelyingParty::start_with(database, &[], &[]).await;
        let granted = suite.log_in(&suite.request()).await;
        let told = suite.userinfo(&granted.access_token).await;
        assert_eq!(told.status, 200, "{told:?}");
        assert_eq!(told.json()["sub"], granted.claims["sub"]);
    }
}

#[tokio::test]
async fn a_request_without_a_response_type_is_refused() {
    let mut suite = RelyingParty::start().await;
    let request = suite.request().without("response_type");
    let callback = suite.callback(&request).await;
    assert_eq!(callback.error.as_deref(), Some("invalid_request"));
    assert_eq!(callback.state.as_deref(), Some(request.parameter("state")));
    assert_eq!(callback.code, None);
}

#[tokio::test]
async fn no_response_type_but_code_is_offered() {
    let mut suite = RelyingParty::start().await;
    for other in [
        "token",
        "id_token",
        "id_token token",
        "code id_token",
        "code token",
        "code id_token token",
        "none",
    ] {
        let request = suite.request().with("response_type", other);
        let callback = suite.callback(&request).await;
        let expected = Some("unsupported_response_type");
        assert_eq!(callback.error.as_deref(), expected, "{other}");
    }
}

#[tokio::test]
async fn an_id_token_is_signed_with_rs256_and_names_its_key() {
    let mut suite = RelyingParty::start().await;
    let granted = suite.log_in(&suite.request()).await;
    let header = jsonwebtoken::decode_header(&granted.id_token).unwrap();
    assert_eq!(header.alg, jsonwebtoken::Algorithm::RS256);
    let keys = suite.get("/.well-known/jwks.json").await.json();
    let keys = keys["keys"].as_array().unwrap();
    let named = keys
        .iter()
        .filter(|key| key["kid"] == *header.kid.as_deref().unwrap());
    assert_eq!(named.count(), 1);
}

#[tokio::test]
async fn a_request_without_a_nonce_leads_to_an_id_token_without_one() {
    let mut suite = RelyingParty::start().await;
    let granted = suite.log_in(&suite.request().without("nonce")).await;
    assert_eq!(granted.claims.get("nonce"), None);
}

#[tokio::test]
async fn an_unknown_parameter_is_passed_over() {
    let mut suite = RelyingParty::start().await;
    suite.log_in(&suite.request().with("extra", "foobar")).await;
}

#[tokio::test]
async fn the_order_of_scopes_and_parameters_does_not_matter() {
    let mut suite = RelyingParty::start().await;
    let mut request = suite.request().with("scope", "email openid");
    request.parameters.reverse();
    let granted = suite.log_in(&request).await;
    let told = suite.userinfo(&granted.access_token).await.json();
    assert_eq!(told["email"], "ada@example.com");
}

#[tokio::test]
async fn a_client_that_need_not_use_pkce_may() {
    let mut suite = RelyingParty::start().await;
    let pkce = [
        ("code_challenge", &*s256(VERIFIER)),
        ("code_challenge_method", "S256"),
    ];
    let request = suite.request().with_all(&pkce);
    let code = suite.callback(&request).await.code().to_owned();
    let wrong = suite.redemption(&code, &[("code_verifier", &"a".repeat(43))]);
    assert_eq!(
        Answer::to(wrong).await.error(),
        (400, "invalid_grant".into())
    );
    let right = suite.redemption(&code, &[("code_verifier", VERIFIER)]);
    suite.granted(&request, &Answer::to(right).await).await;
}

#[tokio::test]
async fn a_request_may_be_posted() {
    let mut suite = RelyingParty::start().await;
    let request = suite.request();
    let posted = suite
        .person
        .cross_site_post("/oauth/authorize", &request.parameters)
        .await;
    let again = posted.location().unwrap();
    let page = suite.person.cross_site_get(again.as_str()).await;
    suite.go_on(&request, page).await;
    // And once more, now that somebody is signed in.
    let posted = suite
        .person
        .cross_site_post("/oauth/authorize", &request.parameters)
        .await;
    let again = posted.location().unwrap();
    let page = suite.person.cross_site_get(again.as_str()).await;
    let callback = Callback::from_page(&page, REDIRECT_URI).unwrap();
    suite.exchange(&request, &callback).await;
}

#[tokio::test]
async fn an_answer_may_travel_in_a_form() {
    let mut suite = RelyingParty::start().await;
    let request = suite.request().with("response_mode", "form_post");
    let page = suite.first_page(&request).await;
    suite.go_on(&request, page).await;
    let silent = request.with("prompt", "none");
    let page = suite.app.authorize(&mut suite.person, &silent).await;
    assert_eq!((page.status.as_u16(), page.location()), (200, None));
    let forms = page.forms();
    assert_eq!(
        (&*forms[0].method, &*forms[0].action),
        ("post", REDIRECT_URI)
    );
    let callback = Callback::from_page(&page, REDIRECT_URI).unwrap();
    suite.exchange(&silent, &callback).await;
}

#[tokio::test]
async fn a_client_may_prove_itself_in_the_form() {
    let database = Database::sqlite();
    let mut suite = RelyingParty::start_with(database, &[], &[]).await;
    let mut client = suite.client.clone();
    let created = suite.app.run(&[
        "client",
        "create",
        "--id",
        "posting",
        "--auth-method",
        "client_secret_post",
        "--grant",
        "authorization_code",
        "--scope",
        SCOPE,
        "--redirect-uri",
        REDIRECT_URI,
        "--pkce",
        "optional",
        "--json",
    ]);
    "posting".clone_into(&mut client.id);
    client.secret = created.json()["client_secret"].as_str().unwrap().to_owned();
    suite.client = client.clone();
    let posting = |app: &TestApp, fields: &[(&str, &str)]| {
        let own = [
            ("client_id", &*client.id),
            ("client_secret", &*client.secret),
        ];
        let fields = [&own, fields].concat();
        app.request(Method::POST, "/oauth/token").form(&fields)
    };
    wait::until("the service knows the client", || async {
        let answer = Answer::to(posting(&suite.app, &[("grant_type", "unknown")])).await;
        (answer.status == 400).then_some(())
    })
    .await;
    let request = request_of(&client);
    let code = suite.callback(&request).await.code().to_owned();
    let basic = Answer::to(suite.redemption(&code, &[])).await;
    assert_eq!(
        basic.error(),
        (401, "invalid_client".to_owned()),
        "not registered for it"
    );
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("redirect_uri", REDIRECT_URI),
    ];
    let answer = Answer::to(posting(&suite.app, &fields)).await;
    suite.granted(&request, &answer).await;
}

on_every_database! {
    async fn a_code_is_good_once(database) {
        let mut suite = RelyingParty::start_with(database, &[], &[]).await;
        let request = suite.request();
        let callback = suite.callback(&request).await;
        let granted = suite.exchange(&request, &callback).await;
        assert_eq!(suite.userinfo(&granted.access_token).await.status, 200);
        let again = Answer::to(suite.redemption(callback.code(), &[])).await;
        assert_eq!(again.error(), (400, "invalid_grant".to_owned()));
        // RFC 6749 §4.1.2: what it gave should be revoked.
        let told = suite.userinfo(&granted.access_token).await;
        assert_eq!(told.status, 401, "{told:?}");
    }
}

on_every_database! {
    async fn a_code_that_comes_again_long_after_is_still_recognised(database) {
        let mut suite = RelyingParty::start_with(database, &[], &[]).await;
        // A client is older than its codes; this one, then, by more than the hour below.
        let earlier = "UPDATE clients SET created_at = created_at - 7200000";
        suite.database.execute(earlier).await;
        suite.app = TestApp::start(&suite.database).await;
        suite.person = Person::new(&suite.app);

        let request = suite.request();
        let callback = suite.callback(&request).await;
        let granted = suite.exchange(&request, &callback).await;
        let earlier = "UPDATE authorization_codes SET expires_at = expires_at - 3600000";
        suite.database.execute(earlier).await;
        let again = Answer::to(suite.redemption(callback.code(), &[])).await;
        assert_eq!(again.error(), (400, "invalid_grant".to_owned()));
        let told = suite.userinfo(&granted.access_token).await;
        assert_eq!(told.status, 401, "{told:?}");
        assert!(told.challenge.contains("invalid_token"), "{told:?}");
    }
}

#[tokio::test]
async fn a_refresh_token_gives_new_tokens_to_its_own_client_only() {
    let mut suite = RelyingParty::start().await;
    let offline = [("scope", "openid offline_access"), ("prompt", "consent")];
    let granted = suite.log_in(&suite.request().with_all(&offline)).await;
    let is_legal = |byte: u8| (0x20..=0x7E).contains(&byte);
    assert!(
        granted.refresh_token.bytes().all(is_legal),
        "RFC 6749 appendix A.17"
    );
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &*granted.refresh_token),
    ];
    let other = register(&suite.app, "other", &[]).await;
    let stolen = Answer::to(suite.app.form(&other, "/oauth/token", &fields)).await;
    assert_eq!(stolen.error(), (400, "invalid_grant".to_owned()));

    let answer = Answer::to(suite.app.form(&suite.client, "/oauth/token", &fields)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    let fresh = body["access_token"].as_str().unwrap();
    assert_ne!(fresh, granted.access_token);
    assert_eq!(
        suite.userinfo(fresh).await.json()["sub"],
        granted.claims["sub"]
    );
    if let Some(id_token) = body["id_token"].as_str() {
        let claims = suite.verified(id_token).await;
        for kept in ["iss", "sub", "aud", "auth_time"] {
            assert_eq!(claims[kept], granted.claims[kept], "{kept}");
        }
    }
}

/// The request of the suite differs from that of our apps, which use PKCE.
#[tokio::test]
async fn a_client_that_must_use_pkce_is_told_so() {
    let mut suite = RelyingParty::start().await;
    let strict = suite.app.app_for_people("strict", &[]).await;
    let request: AuthorizationRequest = request_of(&strict);
    let callback = suite.callback(&request).await;
    assert_eq!(callback.error.as_deref(), Some("invalid_request"));
}
