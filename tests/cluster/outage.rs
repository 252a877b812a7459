//! A replica that is cut off from the database, while the others are not. What one process does without its
//! database is in `hostile::database`.

use std::time::Duration;

use tokensmith_verify::{Freshness, Reject};

use crate::harness::login::Tokens;
use crate::harness::revocation::accepted;
use crate::harness::{TestApp, wait};

use super::fleet::{EVERYWHERE_WITHIN, Fleet};

/// So that nobody waits for long.
const IMPATIENT: [(&str, &str); 1] = [("TOKENSMITH_DATABASE_TIMEOUT", "1s")];
/// The promise of the guide.
const RECOVERED_WITHIN: Duration = Duration::from_secs(5);

async fn is_ready(app: &TestApp) -> bool {
    app.get("/readyz").await.status == 200
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_without_the_database_does_what_it_can_and_the_others_do_not_notice() {
    let Some(fleet) = Fleet::of(3, &IMPATIENT).await else {
        return;
    };
    let [near, other, lonely] = &fleet.apps[..] else {
        panic!("three replicas");
    };
    let (orders, phone, ada) = (
        near.orders().await,
        near.phone().await,
        near.user("ada").await,
    );
    fleet
        .everywhere("the clients are there", async |app| {
            app.token(&orders, &[]).await.status == 200
                && app.token(&phone, &[("grant_type", "unknown")]).await.status == 400
        })
        .await;
    let (leaving, mut staying) = (
        near.login(&phone, &ada).await,
        near.login(&phone, &ada).await,
    );
    let verifier = fleet.verifier(lonely, Freshness::Strict).await;
    let elsewhere = fleet.verifier(other, Freshness::Strict).await;
    accepted(&verifier, &leaving.access_token).await;

    fleet.cables[2].cut();
    // Somebody logs out of whom the replica cannot hear.
    assert_eq!(
        near.revoke(&phone, &leaving.refresh_token).await.status,
        200
    );
    wait::within(EVERYWHERE_WITHIN, "the others know", || async {
        let verdict = elsewhere.verify(&leaving.access_token);
        matches!(verdict, Err(Reject::Revoked)).then_some(())
    })
    .await;
    wait::within(
        Duration::from_millis(2_500),
        "its verifiers know that they do not know",
        || async {
            let verdict = verifier.verify(&leaving.access_token);
            matches!(verdict, Err(Reject::RevocationStale)).then_some(())
        },
    )
    .await;
    wait::within(Duration::from_secs(4), "it says so", || async {
        (!is_ready(lonely).await).then_some(())
    })
    .await;
    let refused = lonely.refresh(&phone, &staying.refresh_token, &[]).await;
    assert_eq!(refused.error(), (503, "temporarily_unavailable".into()));
    for app in [near, other] {
        assert!(is_ready(app).await);
        staying = Tokens::of(&app.refresh(&phone, &staying.refresh_token, &[]).await);
    }
    assert_eq!(
        lonely.token(&orders, &[]).await.status,
        200,
        "tokens for services"
    );
    assert!(
        verifier.verify(&leaving.access_token).is_err(),
        "not for a moment"
    );

    fleet.cables[2].mend();
    wait::within(RECOVERED_WITHIN, "it is back", || async {
        let is_back = is_ready(lonely).await
            && matches!(verifier.verify(&leaving.access_token), Err(Reject::Revoked))
            && verifier.verify(&staying.access_token).is_ok();
        is_back.then_some(())
    })
    .await;
    for app in &fleet.apps {
        staying = Tokens::of(&app.refresh(&phone, &staying.refresh_token, &[]).await);
        let over = app.refresh(&phone, &leaving.refresh_token, &[]).await;
        assert_eq!(over.error(), (400, "invalid_grant".into()));
    }
}
