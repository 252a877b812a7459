//! The audit log under the hands of somebody who can write to the database but has no master key.

use crate::harness::{TestApp, on_every_database, wait};

/// Waits until everything that was written is sealed.
async fn sealed(app: &TestApp) {
    wait::until("the log is sealed", || async {
        let said = app.run(&["audit", "list", "--json"]).json();
        let records = said.as_array().unwrap().clone();
        records
            .iter()
            .all(|record| record["sequence"].is_i64())
            .then_some(())
    })
    .await;
}

async fn says_that_it_was_tampered_with(app: &TestApp, what: &str) {
    wait::until("the service notices", || async {
        let log = app.log();
        (log.contains("tampered with") && log.contains(what)).then_some(())
    })
    .await;
}

on_every_database! {
    async fn a_chain_that_moves_back_is_noticed_and_not_sealed_again(database) {
        let app = TestApp::start(&database).await;
        app.user("ada").await;
        sealed(&app).await;
        database
            .execute("UPDATE audit_records SET sequence = NULL, hash = NULL")
            .await;
        database.execute("DELETE FROM audit_records WHERE kind = 'user_created'").await;
        database.execute("UPDATE audit_chain SET sequence = 0").await;
        says_that_it_was_tampered_with(&app, "now ends with record 0").await;
        let said = app.run(&["audit", "list", "--json"]).json();
        assert!(
            said.as_array().unwrap().iter().all(|record| record["sequence"].is_null()),
            "the service does not make it look whole again: {said}"
        );
    }
}

on_every_database! {
    async fn a_record_that_was_put_in_is_never_sealed(database) {
        let app = TestApp::start(&database).await;
        app.user("ada").await;
        sealed(&app).await;
        database
            .execute(
                "INSERT INTO audit_records (id, at, kind, actor, detail, mac) \
                 SELECT user_id, at, 'user_enabled', 'system', 'never happened', mac \
                 FROM audit_records WHERE kind = 'user_created'",
            )
            .await;
        says_that_it_was_tampered_with(&app, "was put in or changed").await;
        let verified = app.run(&["audit", "verify"]);
        assert_eq!(verified.code, 1, "{}{}", verified.out, verified.err);
        assert!(verified.err.contains("was put in or changed"), "{}", verified.err);
    }
}
