use super::*;
use crate::domain::client::{ClientAuthMethod, ClientMetadata};
use crate::domain::id::LoginId;
use crate::domain::session::{Authentication, AuthenticationMethod, SessionSecret};

const NOW: i64 = 100_000;
const PERSON: UserId = UserId([1; 16]);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(seconds, 0).unwrap()
}

fn request() -> AuthorizationRequest {
    AuthorizationRequest {
        client_id: "shop".parse().unwrap(),
        redirect_uri: "https://shop.example/callback".to_owned(),
        response_mode: ResponseMode::Query,
        scope: "openid email".parse().unwrap(),
        audience: Audience::one("https://api.example.com"),
        state: None,
        nonce: None,
        code_challenge: None,
        prompt: Prompt::default(),
        max_age: None,
        login_hint: None,
        subject: None,
        essential_acr: None,
        userinfo_claims: RequestedClaims::default(),
        id_token_claims: RequestedClaims::default(),
        ui_locales: Vec::new(),
        pushed_as: None,
        started_at: at(NOW - 10),
    }
}

fn prompting(prompt: &str) -> AuthorizationRequest {
    AuthorizationRequest {
        prompt: prompt.parse().unwrap(),
        ..request()
    }
}

fn client() -> Client {
    Client {
        id: "shop".parse().unwrap(),
        metadata: ClientMetadata::default(),
        created_at: at(0),
        disabled_at: None,
        secrets: Vec::new(),
    }
}

fn first_party() -> Client {
    let mut client = client();
    client.metadata.first_party = true;
    client
}

fn login(authenticated_at: i64) -> BrowserLogin {
    BrowserLogin {
        id: LoginId([2; 16]),
        user_id: PERSON,
        secret: SessionSecret([3; 16]),
        authentication: Authentication {
            at: at(authenticated_at),
            methods: vec![AuthenticationMethod::Password],
        },
        device: None,
        address: None,
        created_at: at(0),
        last_seen_at: at(0),
        idle_expires_at: at(NOW * 2),
        expires_at: at(NOW * 2),
        ended_at: None,
    }
}

fn agreed(scope: &str) -> Consent {
    Consent {
        user_id: PERSON,
        client_id: "shop".parse().unwrap(),
        scope: scope.parse().unwrap(),
        audience: Audience::one("https://api.example.com"),
        granted_at: at(NOW - 50),
    }
}

fn step(
    request: &AuthorizationRequest,
    client: &Client,
    login: Option<&BrowserLogin>,
    consent: Option<&Consent>,
) -> NextStep {
    let situation = Situation {
        client,
        login,
        consent,
        account_chosen: false,
        now: at(NOW),
    };
    next_step(request, &situation)
}

#[test]
fn somebody_has_to_sign_in_first() {
    let own = first_party();
    let why = |prompt| step(&prompting(prompt), &own, None, None);
    assert_eq!(why(""), NextStep::LogIn(LoginReason::NobodyIs));
    assert_eq!(why("create"), NextStep::LogIn(LoginReason::MakeAccount));
    assert_eq!(why("consent"), NextStep::LogIn(LoginReason::NobodyIs));
    assert_eq!(why("none"), NextStep::Refuse(Refusal::LoginRequired));
}

#[test]
fn single_sign_on_asks_nothing_again() {
    let signed_in = login(NOW - 5_000);
    assert_eq!(
        step(&request(), &first_party(), Some(&signed_in), None),
        NextStep::Grant
    );
    let known = agreed("openid email profile");
    let silent = prompting("none");
    for request in [&request(), &silent] {
        assert_eq!(
            step(request, &client(), Some(&signed_in), Some(&known)),
            NextStep::Grant
        );
    }
}

#[test]
fn a_login_before_the_request_is_not_enough_for_prompt_login_and_one_after_it_is() {
    let own = first_party();
    let request = prompting("login");
    let (before, after) = (login(NOW - 11), login(NOW - 10));
    assert_eq!(
        step(&request, &own, Some(&before), None),
        NextStep::LogIn(LoginReason::TooLongAgo)
    );
    assert_eq!(step(&request, &own, Some(&after), None), NextStep::Grant);
}

#[test]
fn max_age_is_counted_from_the_last_time_and_never_asks_twice() {
    let own = first_party();
    let with = |max_age| AuthorizationRequest {
        max_age: Some(max_age),
        ..request()
    };
    let hour_ago = login(NOW - 3_600);
    let again = NextStep::LogIn(LoginReason::TooLongAgo);
    assert_eq!(step(&with(3_599), &own, Some(&hour_ago), None), again);
    assert_eq!(
        step(&with(3_600), &own, Some(&hour_ago), None),
        NextStep::Grant
    );
    // The person took longer than max_age for the rest of the way.
    let since = login(NOW - 9);
    for max_age in [0, 1] {
        assert_eq!(
            step(&with(max_age), &own, Some(&since), None),
            NextStep::Grant
        );
        assert_eq!(step(&with(max_age), &own, Some(&hour_ago), None), again);
    }
    let silent = AuthorizationRequest {
        prompt: "none".parse().unwrap(),
        ..with(1)
    };
    assert_eq!(
        step(&silent, &own, Some(&hour_ago), None),
        NextStep::Refuse(Refusal::LoginRequired)
    );
}

#[test]
fn a_request_about_one_person_is_not_answered_about_another() {
    let own = first_party();
    let about = |subject| AuthorizationRequest {
        subject: Some(subject),
        ..request()
    };
    let signed_in = login(NOW - 5);
    assert_eq!(
        step(&about(PERSON), &own, Some(&signed_in), None),
        NextStep::Grant
    );
    let other = about(UserId([9; 16]));
    assert_eq!(
        step(&other, &own, Some(&signed_in), None),
        NextStep::LogIn(LoginReason::SomebodyElseIs)
    );
    let silent = AuthorizationRequest {
        prompt: "none".parse().unwrap(),
        ..other
    };
    assert_eq!(
        step(&silent, &own, Some(&signed_in), None),
        NextStep::Refuse(Refusal::LoginRequired)
    );
}

#[test]
fn an_account_is_chosen_once() {
    let own = first_party();
    let request = prompting("select_account");
    let before = login(NOW - 5_000);
    let chosen = |account_chosen, login| {
        let situation = Situation {
            client: &own,
            login: Some(login),
            consent: None,
            account_chosen,
            now: at(NOW),
        };
        next_step(&request, &situation)
    };
    assert_eq!(chosen(false, &before), NextStep::ChooseAccount);
    assert_eq!(chosen(true, &before), NextStep::Grant);
    // Whoever signs in chooses by that.
    assert_eq!(chosen(false, &login(NOW - 1)), NextStep::Grant);
}

#[test]
fn an_account_is_made_when_the_client_asks_for_it_although_somebody_is_signed_in() {
    let own = first_party();
    let request = prompting("create");
    let (before, after) = (login(NOW - 11), login(NOW - 10));
    assert_eq!(
        step(&request, &own, Some(&before), None),
        NextStep::LogIn(LoginReason::MakeAccount)
    );
    assert_eq!(step(&request, &own, Some(&after), None), NextStep::Grant);
}

#[test]
fn third_parties_need_consent_and_the_own_apps_do_not() {
    let signed_in = login(NOW - 5);
    let ask = |client: &Client, consent: Option<&Consent>| {
        step(&request(), client, Some(&signed_in), consent)
    };
    assert_eq!(ask(&first_party(), None), NextStep::Grant);
    assert_eq!(ask(&client(), None), NextStep::Consent);
    assert_eq!(ask(&client(), Some(&agreed("openid"))), NextStep::Consent);
    assert_eq!(
        ask(&client(), Some(&agreed("openid email"))),
        NextStep::Grant
    );
    assert_eq!(
        step(&prompting("none"), &client(), Some(&signed_in), None),
        NextStep::Refuse(Refusal::ConsentRequired)
    );
    // Whatever is remembered.
    let known = agreed("openid email");
    assert_eq!(
        step(
            &prompting("consent"),
            &client(),
            Some(&signed_in),
            Some(&known)
        ),
        NextStep::Consent
    );
}

#[test]
fn single_claims_are_agreed_to_like_their_scope() {
    let signed_in = login(NOW - 5);
    let request = AuthorizationRequest {
        id_token_claims: "phone_number".parse().unwrap(),
        ..request()
    };
    let ask = |scope: &str| step(&request, &client(), Some(&signed_in), Some(&agreed(scope)));
    assert_eq!(ask("openid email"), NextStep::Consent);
    assert_eq!(ask("openid email phone"), NextStep::Grant);
}

#[test]
fn access_while_the_person_is_away_is_always_shown() {
    let signed_in = login(NOW - 5);
    let request = AuthorizationRequest {
        scope: "openid offline_access".parse().unwrap(),
        ..request()
    };
    let known = agreed("openid offline_access");
    let ask = |client: &Client| step(&request, client, Some(&signed_in), Some(&known));
    assert_eq!(ask(&client()), NextStep::Consent);
    assert_eq!(ask(&first_party()), NextStep::Grant);
}

#[test]
fn an_app_that_anybody_can_pose_as_asks_every_time() {
    let signed_in = login(NOW - 5);
    let known = agreed("openid email");
    let mut native = client();
    native.metadata.token_endpoint_auth_method = Some(ClientAuthMethod::None);
    let ask = |redirect_uri: &str| {
        let request = AuthorizationRequest {
            redirect_uri: redirect_uri.to_owned(),
            ..request()
        };
        step(&request, &native, Some(&signed_in), Some(&known))
    };
    assert_eq!(ask("http://127.0.0.1:9999/callback"), NextStep::Consent);
    assert_eq!(ask("com.example.app:/callback"), NextStep::Consent);
    assert_eq!(ask("https://shop.example/callback"), NextStep::Grant);
}

#[test]
fn an_acr_that_nobody_reaches_is_refused_before_anybody_signs_in() {
    let own = first_party();
    let with = |values: &[&str]| AuthorizationRequest {
        essential_acr: Some(values.iter().map(|value| (*value).to_owned()).collect()),
        ..request()
    };
    assert_eq!(
        step(&with(&["2"]), &own, None, None),
        NextStep::Refuse(Refusal::UnmetAcr)
    );
    let signed_in = login(NOW - 5);
    assert_eq!(
        step(&with(&["2", "1"]), &own, Some(&signed_in), None),
        NextStep::Grant
    );
}

#[test]
fn prompt_is_a_set_of_known_values_and_none_stands_alone() {
    let login_and_consent = Prompt {
        login: true,
        consent: true,
        ..Prompt::default()
    };
    assert_eq!("login consent".parse(), Ok(login_and_consent));
    assert_eq!("".parse(), Ok(Prompt::default()));
    for bad in [
        "none login",
        "consent none",
        "Login",
        "magic",
        "login,consent",
    ] {
        assert_eq!(bad.parse::<Prompt>(), Err(InvalidPrompt), "{bad}");
    }
    for value in Prompt::VALUES {
        assert!(value.parse::<Prompt>().is_ok(), "{value}");
    }
}
