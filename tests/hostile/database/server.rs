//! PostgreSQL itself: stopped and started, crashed, frozen.

use super::{IMPATIENT, PASSWORD, Scene, is_told_to_come_back};
use crate::harness::login::Tokens;
use crate::harness::own_postgres::OwnPostgres;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_stopped_and_started_again() {
    let Some(mut server) = OwnPostgres::start().await else {
        return;
    };
    let database = server.database(PASSWORD).await;
    let mut scene = Scene::on(&database, &[IMPATIENT]).await;
    server.stop().await;
    scene.goes_on().await;
    scene.turns_writers_away().await;
    scene.turns_readers_away().await;
    scene.is_not_ready().await;
    scene.goes_on().await;
    server.start_again();
    server.wait_until_it_answers().await;
    scene.recovers().await;
    scene.has_logged_it("cannot read changes", 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_crashes_and_recovers() {
    let Some(mut server) = OwnPostgres::start().await else {
        return;
    };
    let database = server.database(PASSWORD).await;
    let mut scene = Scene::on(&database, &[IMPATIENT]).await;
    // In the middle of one refresh after the other: what was answered is not forgotten.
    let refreshes = async {
        loop {
            let reply = scene.app.send(scene.refresh()).await;
            if reply.status != 200 {
                return reply;
            }
            scene.tokens = Tokens::of(&reply);
        }
    };
    let (refused, ()) = tokio::join!(refreshes, server.crash());
    assert!(is_told_to_come_back(&refused), "{refused:?}");
    scene.goes_on().await;
    server.start_again();
    server.wait_until_it_answers().await;
    scene.recovers().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_freezes_and_goes_on() {
    let Some(server) = OwnPostgres::start().await else {
        return;
    };
    let database = server.database(PASSWORD).await;
    let mut scene = Scene::on(&database, &[IMPATIENT]).await;
    server.freeze();
    scene.turns_writers_away().await;
    scene.turns_readers_away().await;
    scene.is_not_ready().await;
    scene.goes_on().await;
    server.thaw();
    scene.recovers().await;
    scene.has_logged_it("cannot read revocations", 1);
}
