//! PostgreSQL itself: stopped and started, crashed, frozen.

use super::{IMPATIENT, PASSWORD, Scene, is_told_to_come_back};
use crate::harness::login::Tokens;
use crate::harness::own_postgres;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_stopped_and_started_again() {
    let Some(mut server) = own_postgres::start().await else {
        return;
    };
    let database = own_postgres::database(&server, PASSWORD).await;
    let mut scene = Scene::on(&database, &[IMPATIENT]).await;
    server.stop().await.unwrap();
    scene.goes_on().await;
    scene.turns_writers_away().await;
    scene.turns_readers_away().await;
    scene.is_not_ready().await;
    scene.goes_on().await;
    server.start_again().unwrap();
    server.until_it_answers().await.unwrap();
    scene.recovers().await;
    scene.has_logged_it("cannot read changes", 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_crashes_and_recovers() {
    let Some(mut server) = own_postgres::start().await else {
        return;
    };
    let database = own_postgres::database(&server, PASSWORD).await;
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
    let (refused, crashed) = tokio::join!(refreshes, server.crash());
    crashed.unwrap();
    assert!(is_told_to_come_back(&refused), "{refused:?}");
    scene.goes_on().await;
    server.start_again().unwrap();
    server.until_it_answers().await.unwrap();
    scene.recovers().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_freezes_and_goes_on() {
    let Some(server) = own_postgres::start().await else {
        return;
    };
    let database = own_postgres::database(&server, PASSWORD).await;
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
