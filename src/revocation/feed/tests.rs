use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use tokensmith_verify::revocation::sse;

use super::log::MOST_EARLIER_HEARTBEATS;
use super::*;

const EPOCH: u64 = 1_763_800_000_000;

fn at(seq: u64) -> Position {
    Position { epoch: EPOCH, seq }
}

fn frame(seq: u64) -> Frame {
    Frame {
        position: at(seq),
        event: "delta".to_owned(),
        data: format!("{{\"list\":\"u\",\"idx\":[{seq}]}}"),
    }
}

fn frames(numbers: impl IntoIterator<Item = u64>) -> Vec<Frame> {
    numbers.into_iter().map(frame).collect()
}

/// The stream of these events.
fn text(numbers: impl IntoIterator<Item = u64>) -> String {
    numbers
        .into_iter()
        .map(|seq| sse::frame(&frame(seq)))
        .collect()
}

async fn feed_at(seq: u64) -> Feed {
    let feed = Feed::new(FeedMetrics::default());
    feed.restart(at(seq));
    quiet().await;
    feed
}

/// Until whatever was published has been handed out, and the next event is so at once.
async fn quiet() {
    sleep(WAKE_INTERVAL * 2).await;
}

/// One that keeps four events.
async fn short_feed() -> Feed {
    let limits = Limits {
        frames: 4,
        ..Limits::ORDINARY
    };
    let feed = Feed::with_limits(FeedMetrics::default(), limits);
    feed.restart(at(0));
    quiet().await;
    feed
}

fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// What a reader gets without waiting.
fn read(reader: &mut Reader) -> String {
    let mut text = String::new();
    while let Some(Some(bytes)) = now(reader.next()) {
        text.push_str(std::str::from_utf8(&bytes).unwrap());
    }
    text
}

fn has_ended(reader: &mut Reader) -> bool {
    now(reader.next()) == Some(None)
}

fn reset(reason: &str, earliest: u64) -> String {
    let earliest = at(earliest);
    format!("event: reset\ndata: {{\"reason\":\"{reason}\",\"earliest\":\"{earliest}\"}}\n\n")
}

fn refused(feed: &Feed, after: Position) -> &'static str {
    match feed.reader(Some(after)) {
        Err(Unreadable::Behind(behind)) => behind.reason,
        Err(Unreadable::NotBegun(_)) => "not_begun",
        Ok(_) => "",
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_goes_on_from_where_it_stands() {
    let feed = feed_at(0).await;
    feed.publish(&frames(1..=5));
    for after in 0..=5 {
        let mut reader = feed.reader(Some(at(after))).unwrap();
        assert_eq!(read(&mut reader), text(after + 1..=5), "{after}");
    }
    assert_eq!(feed.position(), Some(at(5)));
}

#[tokio::test(start_paused = true)]
async fn without_a_place_the_stream_begins_with_the_heartbeat_and_what_came_after_it() {
    let feed = feed_at(0).await;
    feed.publish(&frames(1..=2));
    feed.beat("a.b.c");
    let mut reader = feed.reader(None).unwrap();
    assert_eq!(read(&mut reader), sse::heartbeat("a.b.c"));
    quiet().await;
    feed.publish(&frames([3]));
    let whole = format!("{}{}", sse::heartbeat("a.b.c"), text([3]));
    assert_eq!(read(&mut feed.reader(None).unwrap()), whole);
    assert_eq!(read(&mut reader), text([3]));
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_stands_between_the_events_before_it_and_those_after() {
    let feed = feed_at(0).await;
    let mut early = feed.reader(Some(at(0))).unwrap();
    feed.publish(&frames(1..=3));
    feed.beat("a.b.c");
    feed.publish(&frames(4..=5));
    quiet().await;
    let expected = |after| {
        let before = text(after + 1..=3);
        format!("{before}{}{}", sse::heartbeat("a.b.c"), text(4..=5))
    };
    assert_eq!(read(&mut early), expected(0));
    for after in 0..=3 {
        let mut reader = feed.reader(Some(at(after))).unwrap();
        assert_eq!(read(&mut reader), expected(after), "{after}");
    }
    // To a reader that is further it says nothing.
    assert_eq!(read(&mut feed.reader(Some(at(4))).unwrap()), text([5]));
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_is_sent_once_and_only_the_latest() {
    let feed = feed_at(0).await;
    let mut reader = feed.reader(None).unwrap();
    assert_eq!(read(&mut reader), "");
    feed.beat("first");
    feed.beat("second");
    assert_eq!(read(&mut reader), sse::heartbeat("second"));
    assert_eq!(read(&mut reader), "");
    feed.beat("second");
    assert_eq!(
        read(&mut reader),
        sse::heartbeat("second"),
        "a new one in the same words"
    );
}

#[tokio::test(start_paused = true)]
async fn readers_wake_at_once_when_it_is_quiet_and_together_when_it_is_not() {
    let feed = feed_at(0).await;
    quiet().await;
    let mut reader = feed.reader(Some(at(0))).unwrap();
    feed.publish(&frames([1]));
    let first = now(reader.next()).flatten();
    assert_eq!(first.unwrap(), text([1]), "the first goes out at once");
    for seq in 2..=100 {
        feed.publish(&frames([seq]));
    }
    assert!(now(reader.next()).is_none(), "the rest is collected");
    let start = Instant::now();
    let second = reader.next().await.unwrap();
    assert_eq!(second, text(2..=100), "in one piece");
    // The timer of the runtime has milliseconds.
    assert!(start.elapsed() <= WAKE_INTERVAL + Duration::from_millis(1));
    // After that it is quiet again.
    quiet().await;
    feed.publish(&frames([101]));
    assert_eq!(now(reader.next()).flatten().unwrap(), text([101]));
}

#[test]
fn readers_are_woken_when_the_task_that_was_to_do_it_is_gone() {
    let feed = Feed::new(FeedMetrics::default());
    feed.restart(at(0));
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
    };
    let mut reader = feed.reader(Some(at(0))).unwrap();
    // The timer ends with its runtime.
    runtime().block_on(async { feed.publish(&frames([1])) });
    std::thread::sleep(WAKE_INTERVAL);
    runtime().block_on(async { feed.publish(&frames([2])) });
    assert_eq!(read(&mut reader), text(1..=2));
}

#[tokio::test(start_paused = true)]
async fn a_place_that_the_ring_does_not_reach_is_refused() {
    let feed = short_feed().await;
    for seq in 1..=9 {
        feed.publish(&frames([seq]));
        quiet().await;
    }
    assert_eq!(refused(&feed, at(4)), "behind");
    assert_eq!(refused(&feed, at(5)), "");
    assert_eq!(
        refused(
            &feed,
            Position {
                epoch: EPOCH - 1,
                seq: 7
            }
        ),
        "new_epoch"
    );
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_too_slow_is_told_to_begin_again() {
    let feed = short_feed().await;
    let mut slow = feed.reader(Some(at(0))).unwrap();
    let mut quick = feed.reader(Some(at(0))).unwrap();
    let mut got = String::new();
    for seq in 1..=9 {
        quiet().await;
        feed.publish(&frames([seq]));
        got += &read(&mut quick);
    }
    assert_eq!(got, text(1..=9));
    assert_eq!(read(&mut slow), reset("too_slow", 5));
    assert!(has_ended(&mut slow) && !has_ended(&mut quick));
}

#[tokio::test(start_paused = true)]
async fn a_new_epoch_ends_every_stream_with_a_reset() {
    let feed = feed_at(5).await;
    feed.beat("old");
    let mut reader = feed.reader(Some(at(5))).unwrap();
    feed.restart(Position {
        epoch: EPOCH + 1,
        seq: 0,
    });
    let text = read(&mut reader);
    assert!(
        text.starts_with("event: reset\ndata: {\"reason\":\"new_epoch\""),
        "{text}"
    );
    assert!(text.contains(&format!("\"{}.0\"", EPOCH + 1)), "{text}");
    assert!(has_ended(&mut reader));
    // The old heartbeat says nothing about the new epoch.
    assert_eq!(read(&mut feed.reader(None).unwrap()), "");
}

#[tokio::test(start_paused = true)]
async fn a_restart_in_an_epoch_ends_the_streams_that_stand_elsewhere() {
    let feed = feed_at(0).await;
    feed.publish(&frames(1..=3));
    let mut behind = feed.reader(Some(at(1))).unwrap();
    let mut right = feed.reader(Some(at(3))).unwrap();
    feed.restart(at(3));
    assert_eq!(read(&mut behind), reset("restarted", 3));
    quiet().await;
    feed.publish(&frames([4]));
    assert_eq!(read(&mut right), text([4]), "it has missed nothing");
}

#[tokio::test(start_paused = true)]
async fn a_gap_restarts_the_log_and_what_is_known_is_skipped() {
    let feed = feed_at(0).await;
    feed.publish(&frames(1..=3));
    let mut reader = feed.reader(Some(at(3))).unwrap();
    quiet().await;
    feed.publish(&frames(2..=4));
    assert_eq!(read(&mut reader), text([4]));
    quiet().await;
    feed.publish(&frames([6]));
    assert_eq!(read(&mut reader), reset("restarted", 5));
    assert_eq!(feed.position(), Some(at(6)));
}

#[tokio::test(start_paused = true)]
async fn a_reader_ahead_is_waited_for_but_not_for_ever() {
    let feed = feed_at(2).await;
    let later = Position {
        epoch: EPOCH + 1,
        seq: 0,
    };
    let mut ahead = feed.reader(Some(at(4))).unwrap();
    let mut far = feed.reader(Some(later)).unwrap();
    feed.beat("early");
    assert_eq!(
        read(&mut ahead),
        "",
        "a heartbeat from before its place is of no use"
    );
    quiet().await;
    feed.publish(&frames(3..=5));
    assert_eq!(read(&mut ahead), text([5]));
    for _ in 0..MOST_EARLIER_HEARTBEATS {
        assert_eq!(read(&mut far), "");
        quiet().await;
        feed.beat("a.b.c");
    }
    assert_eq!(read(&mut far), reset("ahead", 2));
    assert_eq!(read(&mut ahead), sse::heartbeat("a.b.c"));
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_closes_ends_its_streams_plainly() {
    let feed = feed_at(0).await;
    let mut reader = feed.reader(None).unwrap();
    assert!(now(reader.next()).is_none());
    feed.close();
    assert!(has_ended(&mut reader));
    assert!(has_ended(&mut feed.reader(None).unwrap()));
}

#[tokio::test(start_paused = true)]
async fn nothing_can_be_read_before_it_is_known_where_the_log_begins() {
    let feed = Feed::new(FeedMetrics::default());
    assert_eq!(refused(&feed, at(0)), "not_begun");
    assert_eq!(feed.position(), None);
    assert_eq!(feed.heartbeat_age(), None);
    feed.publish(&frames([8]));
    assert_eq!(feed.position(), Some(at(8)));
    assert_eq!(refused(&feed, at(6)), "restarted");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_polls_gets_what_is_there_or_waits_for_it() {
    let feed = feed_at(0).await;
    let poll = |after, seconds| feed.changes(after, Duration::from_secs(seconds));
    let not_begun = Err(Unreadable::NotBegun(NotBegun));
    assert_eq!(poll(None, 30).await, not_begun);
    feed.beat("first");
    let nothing = Changes {
        events: vec![],
        heartbeat: "first".to_owned(),
    };
    assert_eq!(
        poll(None, 30).await,
        Ok(nothing.clone()),
        "without a place it does not wait"
    );
    let start = Instant::now();
    assert_eq!(poll(Some(at(0)), 20).await, Ok(nothing));
    assert!(start.elapsed() >= Duration::from_secs(20));

    feed.publish(&frames(1..=2));
    feed.beat("a.b.c");
    feed.publish(&frames([3]));
    quiet().await;
    let start = Instant::now();
    let events = |numbers: std::ops::RangeInclusive<u64>| Changes {
        events: frames(numbers),
        heartbeat: "a.b.c".to_owned(),
    };
    // As far as the heartbeat, so that the reader stands where it does, and then the rest.
    assert_eq!(poll(Some(at(0)), 20).await, Ok(events(1..=2)));
    assert_eq!(poll(Some(at(2)), 20).await, Ok(events(3..=3)));
    assert_eq!(start.elapsed(), Duration::ZERO);

    let waiting = poll(Some(at(3)), 20);
    let publishing = async {
        sleep(Duration::from_secs(1)).await;
        feed.publish(&frames([4]));
    };
    let (changes, ()) = tokio::join!(waiting, publishing);
    assert_eq!(changes, Ok(events(4..=4)));
    assert_eq!(start.elapsed(), Duration::from_secs(1));
    let behind = poll(Some(Position { epoch: 1, seq: 0 }), 20).await;
    assert!(matches!(behind, Err(Unreadable::Behind(_))));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_polls_is_told_of_a_restart_while_it_waits() {
    let feed = feed_at(0).await;
    let waiting = feed.changes(Some(at(0)), Duration::from_secs(20));
    let restarting = async { feed.restart(at(9)) };
    let (changes, ()) = tokio::join!(waiting, restarting);
    let Err(Unreadable::Behind(behind)) = changes else {
        panic!("{changes:?}");
    };
    assert_eq!((behind.reason, behind.earliest), ("restarted", at(9)));
}
