use serde_json::json;

use super::*;
use crate::domain::client::ClientAuthMethod;

type Verdict = Result<(), InvalidRegistration>;

/// Of a service.
fn verdict(change: impl FnOnce(&mut ClientMetadata)) -> Verdict {
    let mut metadata = ClientMetadata {
        grant_types: [GrantType::ClientCredentials].into(),
        scope: "orders:read orders:write".parse().unwrap(),
        audiences: vec!["https://api.example.com".parse().unwrap()],
        ..ClientMetadata::default()
    };
    change(&mut metadata);
    checked(&metadata)
}

/// Of a web application with a server of its own.
fn web_verdict(change: impl FnOnce(&mut ClientMetadata)) -> Verdict {
    verdict(|m| {
        m.grant_types = [GrantType::AuthorizationCode, GrantType::RefreshToken].into();
        m.redirect_uris = vec!["https://app.example.com/callback".parse().unwrap()];
        change(m);
    })
}

/// Of an app on a phone.
fn app_verdict(change: impl FnOnce(&mut ClientMetadata)) -> Verdict {
    web_verdict(|m| {
        m.token_endpoint_auth_method = Some(ClientAuthMethod::None);
        change(m);
    })
}

fn checked(metadata: &ClientMetadata) -> Verdict {
    let issuer = Issuer::parse("https://login.example.com").unwrap();
    check(&"orders".parse().unwrap(), metadata, &issuer)
}

#[test]
fn an_ordinary_registration_is_accepted() {
    assert_eq!(verdict(|_| ()), Ok(()));
    assert_eq!(verdict(|m| m.access_token_ttl = Some(3600)), Ok(()));
    assert_eq!(
        verdict(|m| {
            m.access_token_claims.insert("tier".into(), json!(1));
        }),
        Ok(())
    );
}

#[test]
fn an_ordinary_application_is_accepted_with_and_without_a_secret() {
    assert_eq!(web_verdict(|_| ()), Ok(()));
    assert_eq!(web_verdict(|m| m.pkce = PkcePolicy::Optional), Ok(()));
    assert_eq!(
        web_verdict(|m| m.rotate_refresh_tokens = Some(false)),
        Ok(())
    );
    assert_eq!(
        web_verdict(|m| m.resource_servers = m.audiences.clone()),
        Ok(())
    );
    assert_eq!(
        web_verdict(|m| {
            m.grant_types.insert(GrantType::ClientCredentials);
        }),
        Ok(()),
    );
    assert_eq!(app_verdict(|_| ()), Ok(()));
    assert_eq!(
        app_verdict(|m| m.rotate_refresh_tokens = Some(true)),
        Ok(())
    );
    assert_eq!(
        app_verdict(|m| m.access_token_format = AccessTokenFormat::Reference),
        Ok(()),
    );
}

#[test]
fn a_login_needs_somewhere_to_go_unless_the_application_is_our_own() {
    assert_eq!(
        web_verdict(|m| m.redirect_uris.clear()),
        Err(InvalidRegistration::NoRedirectUri),
    );
    assert_eq!(
        app_verdict(|m| {
            m.redirect_uris.clear();
            m.first_party = true;
        }),
        Ok(()),
    );
}

#[test]
fn a_public_client_has_nothing_that_only_a_secret_would_protect() {
    use InvalidRegistration as No;
    assert_eq!(
        app_verdict(|m| {
            m.grant_types.insert(GrantType::ClientCredentials);
        }),
        Err(No::PublicService),
    );
    assert_eq!(
        app_verdict(|m| m.pkce = PkcePolicy::Optional),
        Err(No::PublicWithoutPkce),
    );
    assert_eq!(
        app_verdict(|m| m.rotate_refresh_tokens = Some(false)),
        Err(No::PublicWithoutRotation),
    );
    assert_eq!(
        app_verdict(|m| m.resource_servers = m.audiences.clone()),
        Err(No::PublicResourceServer),
    );
}

#[test]
fn grants_and_formats_that_need_a_session_are_refused_without_one() {
    use InvalidRegistration as No;
    assert_eq!(
        web_verdict(|m| {
            m.grant_types.remove(&GrantType::AuthorizationCode);
        }),
        Err(No::RefreshWithoutLogin),
    );
    assert_eq!(
        verdict(|m| m.access_token_format = AccessTokenFormat::Reference),
        Err(No::ReferenceWithoutSession),
    );
}

#[test]
fn lists_hold_nothing_twice_and_not_too_much() {
    use InvalidRegistration as No;
    assert_eq!(
        web_verdict(|m| m.redirect_uris.extend(m.redirect_uris.clone())),
        Err(No::DuplicateRedirectUri(
            "https://app.example.com/callback".into()
        )),
    );
    assert_eq!(
        web_verdict(|m| m.resource_servers = [m.audiences.clone(), m.audiences.clone()].concat()),
        Err(No::DuplicateResourceServer(
            "https://api.example.com".into()
        )),
    );
    let many = |count: usize| {
        web_verdict(|m| {
            m.redirect_uris = (0..count)
                .map(|n| format!("https://app.example.com/{n}").parse().unwrap())
                .collect();
        })
    };
    assert_eq!(many(32), Ok(()));
    assert_eq!(many(33), Err(No::TooManyRedirectUris(33)));
}

#[test]
fn redirect_uris_for_after_a_logout_are_held_to_the_same_bounds() {
    use InvalidRegistration as No;
    let bye = "https://app.example.com/bye";
    assert_eq!(
        web_verdict(|m| m.post_logout_redirect_uris = vec![bye.parse().unwrap(); 2]),
        Err(No::DuplicatePostLogoutRedirectUri(bye.into())),
    );
    let many = |count: usize| {
        web_verdict(|m| {
            m.post_logout_redirect_uris = (0..count)
                .map(|n| format!("{bye}/{n}").parse().unwrap())
                .collect();
        })
    };
    assert_eq!(many(32), Ok(()));
    assert_eq!(many(33), Err(No::TooManyPostLogoutRedirectUris(33)));
    let shared = |m: &mut ClientMetadata| m.post_logout_redirect_uris = m.redirect_uris.clone();
    assert_eq!(web_verdict(shared), Ok(()), "one URI may serve for both");
}

#[test]
fn word_of_a_logout_goes_to_whoever_logs_people_in() {
    let receiver = |m: &mut ClientMetadata| {
        m.backchannel_logout_uri = Some("https://app.example.com/logout".parse().unwrap());
    };
    assert_eq!(web_verdict(receiver), Ok(()));
    assert_eq!(app_verdict(receiver), Ok(()));
    assert_eq!(
        verdict(receiver),
        Err(InvalidRegistration::LogoutWithoutLogin)
    );
}

#[test]
fn lifetimes_stay_within_their_bounds() {
    use InvalidRegistration as No;
    const TEN_YEARS: u32 = 10 * 365 * 24 * 3600;
    for good in [0, 3600] {
        assert_eq!(web_verdict(|m| m.retry_window = Some(good)), Ok(()));
    }
    assert_eq!(
        web_verdict(|m| m.retry_window = Some(3601)),
        Err(No::RetryWindow(3601)),
    );
    for good in [60, TEN_YEARS] {
        assert_eq!(web_verdict(|m| m.session_idle_ttl = Some(good)), Ok(()));
        assert_eq!(web_verdict(|m| m.session_ttl = Some(good)), Ok(()));
    }
    for bad in [0, 59, TEN_YEARS + 1] {
        assert_eq!(
            web_verdict(|m| m.session_idle_ttl = Some(bad)),
            Err(No::SessionIdleTtl(bad)),
        );
        assert_eq!(
            web_verdict(|m| m.session_ttl = Some(bad)),
            Err(No::SessionTtl(bad)),
        );
    }
    let both = |idle, absolute| {
        web_verdict(|m| {
            m.session_idle_ttl = Some(idle);
            m.session_ttl = Some(absolute);
        })
    };
    assert_eq!(both(61, 61), Ok(()));
    assert_eq!(
        both(61, 60),
        Err(No::IdleBeyondSession {
            idle: 61,
            absolute: 60
        }),
    );
}

#[test]
fn each_mistake_is_refused_with_its_own_reason() {
    use InvalidRegistration as No;
    assert_eq!(verdict(|m| m.grant_types.clear()), Err(No::NoGrant));
    assert_eq!(
        verdict(|m| m.client_name = Some(String::new())),
        Err(No::Name)
    );
    assert_eq!(
        verdict(|m| m.client_name = Some("a\u{7}b".into())),
        Err(No::Name)
    );
    assert_eq!(
        verdict(|m| m.access_token_ttl = Some(0)),
        Err(No::AccessTokenTtl(0))
    );
    assert_eq!(
        verdict(|m| m.access_token_ttl = Some(3601)),
        Err(No::AccessTokenTtl(3601))
    );
    assert_eq!(
        verdict(|m| m.audiences.push("https://api.example.com".parse().unwrap())),
        Err(No::DuplicateAudience("https://api.example.com".into())),
    );
    for name in ["sub", "aud", "scope", "cnf", "act", "sid"] {
        assert_eq!(
            verdict(|m| {
                m.access_token_claims.insert(name.into(), json!("x"));
            }),
            Err(No::ReservedClaim(name.into())),
        );
    }
}

#[test]
fn claims_that_verifiers_would_not_read_are_refused() {
    let deep = (0..20).fold(json!(1), |inner, _| json!([inner]));
    let outcome = verdict(|m| {
        m.access_token_claims.insert("deep".into(), deep);
    });
    assert_eq!(outcome, Err(InvalidRegistration::ClaimsTooComplex));
    let outcome = verdict(|m| {
        m.access_token_claims = (0..65).map(|n| (format!("c{n}"), json!(n))).collect();
    });
    assert_eq!(outcome, Err(InvalidRegistration::ClaimsTooComplex));
}

#[test]
fn a_token_that_would_not_fit_into_headers_is_refused_when_it_is_configured() {
    let long = "x".repeat(3000);
    let outcome = verdict(|m| {
        m.access_token_claims.insert("blob".into(), json!(long));
    });
    assert!(matches!(outcome, Err(InvalidRegistration::TokenTooLarge(bytes)) if bytes > 4096));
}

#[test]
fn a_person_in_the_token_counts() {
    // Just so much that a service has room for it.
    let length = (1..MAX_TOKEN_BYTES)
        .take_while(|length| blob(*length, &[GrantType::ClientCredentials]).is_ok())
        .last()
        .unwrap();
    let outcome = blob(length, &[GrantType::AuthorizationCode]);
    assert!(matches!(outcome, Err(InvalidRegistration::TokenTooLarge(bytes)) if bytes > 4096));
}

fn blob(length: usize, grants: &[GrantType]) -> Verdict {
    verdict(|m| {
        m.first_party = true;
        m.grant_types = grants.iter().copied().collect();
        let blob = json!("x".repeat(length));
        m.access_token_claims.insert("blob".into(), blob);
    })
}
