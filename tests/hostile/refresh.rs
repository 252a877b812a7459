//! Refresh tokens against several processes and several attackers at once. One process, restarts and
//! restored backups: `service::refresh`; every order of events: `model`.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use crate::harness::login::{Tokens, VERIFIER, claims};
use crate::harness::{TestApp, on_every_database};

fn refused() -> (u16, String) {
    (400, "invalid_grant".to_owned())
}

on_every_database! {
    async fn attack_28_fifty_requests_at_two_replicas_get_one_successor(database) {
        let one = TestApp::start(&database).await;
        let two = TestApp::start_with(&database, &[("TOKENSMITH_ISSUER", &one.issuer)]).await;
        let (phone, ada) = (one.phone().await, one.user("ada").await);
        let mut tokens = one.login(&phone, &ada).await;
        // Both remember the session by the second round.
        for round in 0..3 {
            let requests = (0..50).map(|number| {
                let app = if number % 2 == 0 { &one } else { &two };
                app.refresh(&phone, &tokens.refresh_token, &[])
            });
            let answers = join_all(requests).await;
            let successors: BTreeSet<String> =
                answers.iter().map(|reply| Tokens::of(reply).refresh_token).collect();
            assert_eq!(successors.len(), 1, "round {round}: {successors:?}");
            tokens = Tokens::of(&answers[0]);
        }
        assert_eq!(two.refresh(&phone, &tokens.refresh_token, &[]).await.status, 200);
    }
}

on_every_database! {
    async fn attack_28_a_replay_beside_an_honest_refresh_ends_the_session_whoever_is_first(database) {
        let one = TestApp::start(&database).await;
        let two = TestApp::start_with(&database, &[("TOKENSMITH_ISSUER", &one.issuer)]).await;
        let (phone, ada) = (one.phone().await, one.user("ada").await);
        for round in 0..4 {
            let stolen = one.login(&phone, &ada).await;
            let second = Tokens::of(&one.refresh(&phone, &stolen.refresh_token, &[]).await);
            let third = Tokens::of(&two.refresh(&phone, &second.refresh_token, &[]).await);
            let (thief, owner) = if round % 2 == 0 { (&one, &two) } else { (&two, &one) };
            let attempts = (0..10).map(|number| {
                if number % 2 == round % 2 {
                    thief.refresh(&phone, &stolen.refresh_token, &[])
                } else {
                    owner.refresh(&phone, &third.refresh_token, &[])
                }
            });
            let answers = join_all(attempts).await;
            let mut all = vec![stolen.refresh_token, second.refresh_token, third.refresh_token];
            for reply in answers.iter().filter(|reply| reply.status == 200) {
                let tokens = Tokens::of(reply);
                assert!(!is_good(&two, &tokens).await, "round {round}");
                all.push(tokens.refresh_token);
            }
            for token in &all {
                for app in [&one, &two] {
                    let reply = app.refresh(&phone, token, &[]).await;
                    assert_eq!(reply.error(), refused(), "round {round}");
                }
            }
        }
    }
}

/// Whether an access token still opens what is told of the person.
async fn is_good(app: &TestApp, tokens: &Tokens) -> bool {
    let userinfo = app.request(reqwest::Method::GET, "/oauth/userinfo");
    let userinfo = userinfo.bearer_auth(&tokens.access_token);
    app.send(userinfo).await.status == 200
}

on_every_database! {
    async fn attack_28_a_grant_for_one_api_is_not_refreshed_for_another(database) {
        let app = TestApp::start(&database).await;
        let apis = ["--public", "--first-party", "--audience", "https://payments.example.com"];
        let phone = app.app_for_people("phone", &apis).await;
        let ada = app.user("ada").await;
        let orders = ("resource", "https://api.example.com");
        let payments = ("resource", "https://payments.example.com");
        let narrow = [orders, ("scope", "openid orders:read")];
        let code = app.challenge(&phone, &ada, &narrow).await.json();
        let code = code["authorization_code"].as_str().unwrap().to_owned();
        let mut tokens = Tokens::of(&app.redeem(&phone, &code, VERIFIER).await);
        // The client is registered for both; the person's grant is for one.
        for wider in [
            vec![payments],
            vec![orders, payments],
            vec![payments, ("scope", "openid")],
        ] {
            let reply = app.refresh(&phone, &tokens.refresh_token, &wider).await;
            assert_eq!(reply.error(), (400, "invalid_target".to_owned()), "{wider:?}");
        }
        let wider = [("scope", "openid offline_access orders:read")];
        let reply = app.refresh(&phone, &tokens.refresh_token, &wider).await;
        assert_eq!(reply.error(), (400, "invalid_scope".to_owned()));
        // Nor by way of a token that was narrowed, or of one for the account.
        tokens = app.for_account(&phone, &tokens).await;
        let reply = app.refresh(&phone, &tokens.refresh_token, &[payments]).await;
        assert_eq!(reply.error(), (400, "invalid_target".to_owned()));
        let tokens = Tokens::of(&app.refresh(&phone, &tokens.refresh_token, &[]).await);
        let said = claims(&tokens.access_token);
        assert_eq!((&said["aud"], &said["scope"]), (&orders.1.into(), &"openid orders:read".into()));
    }
}

on_every_database! {
    async fn attack_24_a_code_at_two_replicas_at_once_begins_one_session_which_ends(database) {
        let one = TestApp::start(&database).await;
        let two = TestApp::start_with(&database, &[("TOKENSMITH_ISSUER", &one.issuer)]).await;
        let (phone, ada) = (one.phone().await, one.user("ada").await);
        let code = one.code(&phone, &ada).await;
        let requests = (0..20).map(|number| {
            let app = if number % 2 == 0 { &one } else { &two };
            app.redeem(&phone, &code, VERIFIER)
        });
        let answers = join_all(requests).await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|reply| reply.status == 200);
        assert_eq!(won.len(), 1);
        assert!(lost.iter().all(|reply| reply.error() == refused()));
        let tokens = Tokens::of(won[0]);
        for app in [&one, &two] {
            let reply = app.refresh(&phone, &tokens.refresh_token, &[]).await;
            assert_eq!(reply.error(), refused());
            assert!(!is_good(app, &tokens).await);
        }
    }
}
