use super::super::{Delta, ListAnnouncement};
use super::*;

const EPOCH: u64 = 1_700_000_000_000;
const WALL: i64 = 1_700_000_000_000;
const KID: &str = "k1";

/// A server's log, and the reader's clock.
struct Log {
    stand: Anchor,
    elapsed: i64,
}

impl Log {
    fn begin() -> (Self, Follower) {
        let log = Self {
            stand: Anchor {
                position: Position {
                    epoch: EPOCH,
                    seq: 0,
                },
                chain: Chain::START,
            },
            elapsed: 0,
        };
        let mut follower = Follower::new(uris(), Duration::from_secs(30));
        follower.stand_at(log.stand, 1, &[]);
        (log, follower)
    }

    fn append(&mut self, event: &Event) -> Frame {
        self.append_raw(event.name(), &event.to_json().unwrap())
    }

    fn append_raw(&mut self, event: &str, data: &str) -> Frame {
        self.stand.position.seq += 1;
        self.stand.chain = self.stand.chain.with(event, data);
        Frame {
            position: self.stand.position,
            event: event.to_owned(),
            data: data.to_owned(),
        }
    }

    /// The heartbeat of half a second later.
    fn beat(&mut self) -> Heartbeat {
        self.elapsed += 500;
        Heartbeat {
            iss: "https://i".to_owned(),
            epoch: self.stand.position.epoch,
            seq: self.stand.position.seq,
            chain: self.stand.chain,
            as_of: WALL + self.elapsed,
        }
    }

    fn now(&self) -> Now {
        Now {
            wall: WALL + self.elapsed,
            monotonic: Duration::from_millis(self.elapsed.unsigned_abs()),
        }
    }

    fn deliver_beat(&mut self, follower: &mut Follower) -> Beat {
        let beat = self.beat();
        follower.heartbeat(KID, &beat, self.now())
    }
}

fn uris() -> ListUris {
    ListUris::new("https://i/status-lists")
}

fn revoke(idx: &[u32]) -> Event {
    Event::Delta(Delta {
        list: uris().uri(0),
        idx: idx.to_vec(),
    })
}

fn open(number: u32) -> Event {
    Event::List(ListAnnouncement {
        uri: uris().uri(number),
        size: LIST_SIZE,
    })
}

fn cut_off_key(kid: &str) -> Watermark {
    Watermark {
        scope: WatermarkScope::Kid(kid.to_owned()),
        not_before: i64::MAX,
    }
}

fn is_fresh(beat: &Beat) -> bool {
    matches!(beat, Beat::Fresh(_))
}

#[test]
fn events_in_order_are_applied_and_the_heartbeat_after_them_is_good() {
    let (mut log, mut follower) = Log::begin();
    assert!(is_fresh(&log.deliver_beat(&mut follower)));
    let frame = log.append(&revoke(&[3, 17]));
    let list = Change::Revoke {
        list: 0,
        idx: vec![3, 17],
    };
    assert_eq!(follower.frame(&frame), Step::Apply(list));
    let frame = log.append(&open(1));
    assert_eq!(follower.frame(&frame), Step::Apply(Change::Open(1)));
    assert!(is_fresh(&log.deliver_beat(&mut follower)));
    assert_eq!(follower.position(), log.stand.position);
}

#[test]
fn a_lost_event_is_noticed_by_the_next_and_by_the_heartbeat() {
    let (mut log, mut follower) = Log::begin();
    let _lost = log.append(&revoke(&[1]));
    let beats: Vec<_> = (0..3).map(|_| log.deliver_beat(&mut follower)).collect();
    let lost = Beat::Resync(Resync::Gap);
    assert_eq!(beats, [Beat::Ignore, Beat::Ignore, lost]);
    let next = log.append(&revoke(&[2]));
    assert_eq!(follower.frame(&next), Step::Resync(Resync::Gap));
    assert_eq!(follower.position().seq, 0, "it still stands where it stood");
}

#[test]
fn a_heartbeat_may_overtake_the_events_that_it_counts() {
    let (mut log, mut follower) = Log::begin();
    for idx in 0..10 {
        let frame = log.append(&revoke(&[idx]));
        assert_eq!(log.deliver_beat(&mut follower), Beat::Ignore);
        assert!(matches!(follower.frame(&frame), Step::Apply(_)));
        assert!(is_fresh(&log.deliver_beat(&mut follower)));
    }
}

#[test]
fn a_repeated_event_changes_nothing() {
    let (mut log, mut follower) = Log::begin();
    let frames = [log.append(&revoke(&[1])), log.append(&revoke(&[2]))];
    for frame in &frames {
        assert!(matches!(follower.frame(frame), Step::Apply(_)));
    }
    for frame in &frames {
        assert_eq!(follower.frame(frame), Step::Ignore);
    }
    assert!(is_fresh(&log.deliver_beat(&mut follower)));
}

#[test]
fn events_out_of_order_are_noticed() {
    let (mut log, mut follower) = Log::begin();
    let (first, second) = (log.append(&revoke(&[1])), log.append(&revoke(&[2])));
    assert_eq!(follower.frame(&second), Step::Resync(Resync::Gap));
    // Renumbered by somebody in between, so that they seem to be in order.
    let swapped = |frame: &Frame, seq| Frame {
        position: Position { epoch: EPOCH, seq },
        ..frame.clone()
    };
    assert!(matches!(
        follower.frame(&swapped(&second, 1)),
        Step::Apply(_)
    ));
    assert!(matches!(
        follower.frame(&swapped(&first, 2)),
        Step::Apply(_)
    ));
    assert_eq!(
        log.deliver_beat(&mut follower),
        Beat::Resync(Resync::ChainMismatch)
    );
}

#[test]
fn a_forged_event_is_noticed_at_the_next_event_and_without_one_after_a_second() {
    let (mut log, mut follower) = Log::begin();
    assert!(is_fresh(&log.deliver_beat(&mut follower)));
    let (mut forger, _) = Log::begin();
    let forged = forger.append(&revoke(&[99]));
    assert!(matches!(follower.frame(&forged), Step::Apply(_)));
    assert_eq!(
        log.deliver_beat(&mut follower),
        Beat::Ignore,
        "perhaps overtaken"
    );
    assert_eq!(log.deliver_beat(&mut follower), Beat::Ignore);
    assert_eq!(
        log.deliver_beat(&mut follower),
        Beat::Resync(Resync::AheadOfLog)
    );

    let (mut log, mut follower) = Log::begin();
    assert!(matches!(follower.frame(&forged), Step::Apply(_)));
    let real = log.append(&revoke(&[1]));
    assert_eq!(follower.frame(&real), Step::Ignore, "its number is taken");
    assert_eq!(
        log.deliver_beat(&mut follower),
        Beat::Resync(Resync::ChainMismatch)
    );
}

#[test]
fn a_server_that_learns_an_event_a_moment_later_is_no_forger() {
    let (mut log, mut follower) = Log::begin();
    let slow = log.beat();
    let frame = log.append(&revoke(&[1]));
    assert!(matches!(follower.frame(&frame), Step::Apply(_)));
    assert_eq!(follower.heartbeat(KID, &slow, log.now()), Beat::Ignore);
    assert!(is_fresh(&log.deliver_beat(&mut follower)));
    // Replayed for as long as one likes it proves nothing.
    for _ in 0..10 {
        log.elapsed += 500;
        assert_eq!(follower.heartbeat(KID, &slow, log.now()), Beat::Ignore);
    }
}

#[test]
fn an_event_that_is_not_understood_is_not_skipped() {
    let list = |n: u32| uris().uri(n);
    for (event, data) in [
        ("purge", "{}".to_owned()),
        ("heartbeat", "{}".to_owned()),
        ("delta", "{".to_owned()),
        (
            "delta",
            format!(r#"{{"list":"{}","idx":[{LIST_SIZE}]}}"#, list(0)),
        ),
        ("delta", format!(r#"{{"list":"{}","idx":[1]}}"#, list(1))),
        (
            "delta",
            r#"{"list":"https://j/status-lists/0","idx":[1]}"#.to_owned(),
        ),
        ("watermark", r#"{"user":"ada","not_before":1}"#.to_owned()),
        ("list", format!(r#"{{"uri":"{}","size":1048576}}"#, list(2))),
        ("list", format!(r#"{{"uri":"{}","size":8}}"#, list(1))),
        (
            "list",
            r#"{"uri":"https://j/status-lists/1","size":1048576}"#.to_owned(),
        ),
    ] {
        let (mut log, mut follower) = Log::begin();
        let frame = log.append_raw(event, &data);
        assert_eq!(
            follower.frame(&frame),
            Step::Resync(Resync::UnknownEvent),
            "{event} {data}"
        );
        assert_eq!(follower.position().seq, 0);
    }
}

#[test]
fn lists_are_opened_in_order_however_many_there_were() {
    let (mut log, mut follower) = Log::begin();
    follower.stand_at(log.stand, u32::MAX - 1, &[]);
    let again = log.append(&open(0));
    assert_eq!(follower.frame(&again), Step::Apply(Change::Open(0)));
    let last = log.append(&open(u32::MAX - 1));
    assert!(matches!(follower.frame(&last), Step::Apply(_)));
    let beyond = log.append(&open(u32::MAX));
    assert_eq!(follower.frame(&beyond), Step::Resync(Resync::UnknownEvent));
    let (mut log, mut follower) = Log::begin();
    let skipped = log.append(&open(2));
    assert_eq!(follower.frame(&skipped), Step::Resync(Resync::UnknownEvent));
}

#[test]
fn another_epoch_is_not_followed() {
    for epoch in [EPOCH - 1, EPOCH + 1] {
        let (mut log, mut follower) = Log::begin();
        log.stand.position.epoch = epoch;
        let frame = log.append(&revoke(&[1]));
        assert_eq!(
            follower.frame(&frame),
            Step::Resync(Resync::Epoch),
            "{epoch}"
        );
    }
    // A heartbeat is signed: a later epoch has begun, an earlier one is a replay.
    let (mut log, mut follower) = Log::begin();
    log.stand.position.epoch = EPOCH + 1;
    assert_eq!(log.deliver_beat(&mut follower), Beat::Resync(Resync::Epoch));
    log.stand.position.epoch = EPOCH - 1;
    assert_eq!(log.deliver_beat(&mut follower), Beat::Ignore);
}

#[test]
fn a_heartbeat_makes_fresh_once_and_only_where_the_reader_stands() {
    let (mut log, mut follower) = Log::begin();
    let first = log.beat();
    assert!(is_fresh(&follower.heartbeat(KID, &first, log.now())));
    log.elapsed += 300;
    assert_eq!(follower.heartbeat(KID, &first, log.now()), Beat::Ignore);
    let frame = log.append(&revoke(&[1]));
    assert!(matches!(follower.frame(&frame), Step::Apply(_)));
    assert_eq!(follower.heartbeat(KID, &first, log.now()), Beat::Ignore);
    let mut elsewhere = log.beat();
    elsewhere.seq += 1;
    assert_eq!(follower.heartbeat(KID, &elsewhere, log.now()), Beat::Ignore);
    assert!(is_fresh(&log.deliver_beat(&mut follower)));
}

#[test]
fn a_heartbeat_far_from_the_own_clock_confirms_the_chain_but_makes_nobody_fresh() {
    let (mut log, mut follower) = Log::begin();
    let beat = log.beat();
    let mut late = log.now();
    late.wall += 31_000;
    assert_eq!(follower.heartbeat(KID, &beat, late), Beat::Ignore);
    assert!(is_fresh(&follower.heartbeat(KID, &beat, log.now())));
}

#[test]
fn a_replay_is_not_good_after_a_resync_either() {
    let (mut log, mut follower) = Log::begin();
    let beat = log.beat();
    assert!(is_fresh(&follower.heartbeat(KID, &beat, log.now())));
    follower.stand_at(log.stand, 1, &[]);
    assert_eq!(follower.heartbeat(KID, &beat, log.now()), Beat::Ignore);
}

#[test]
fn a_key_that_the_log_has_cut_off_is_believed_no_more() {
    let (mut log, mut follower) = Log::begin();
    let frame = log.append(&Event::Watermark(cut_off_key(KID)));
    assert_eq!(
        follower.frame(&frame),
        Step::Apply(Change::CutOff(cut_off_key(KID)))
    );
    // The thief of the key cannot confirm the very cut-off.
    assert_eq!(log.deliver_beat(&mut follower), Beat::Ignore);
    assert!(!follower.distrusts(KID, 0), "nobody has confirmed it yet");
    let beat = log.beat();
    assert!(is_fresh(&follower.heartbeat("k2", &beat, log.now())));
    assert!(follower.distrusts(KID, 0));
    // Not even to say that something is wrong, and not after a resync.
    follower.stand_at(log.stand, 1, &[]);
    let mut beat = log.beat();
    beat.epoch += 1;
    assert_eq!(follower.heartbeat(KID, &beat, log.now()), Beat::Ignore);
}

#[test]
fn a_forged_cut_off_of_the_servers_key_does_not_silence_the_server() {
    let (mut log, mut follower) = Log::begin();
    let (mut forger, _) = Log::begin();
    let forged = forger.append(&Event::Watermark(cut_off_key(KID)));
    assert!(matches!(follower.frame(&forged), Step::Apply(_)));
    let outcomes: Vec<_> = (0..3).map(|_| log.deliver_beat(&mut follower)).collect();
    assert_eq!(outcomes.last(), Some(&Beat::Resync(Resync::AheadOfLog)));
    assert!(!follower.distrusts(KID, 0));
    follower.stand_at(log.stand, 1, &[]);
    assert!(is_fresh(&log.deliver_beat(&mut follower)));
}

#[test]
fn a_snapshot_names_keys_that_are_not_believed() {
    let (mut log, mut follower) = Log::begin();
    follower.stand_at(log.stand, 1, &[cut_off_key(KID)]);
    assert_eq!(log.deliver_beat(&mut follower), Beat::Ignore);
}

#[test]
fn what_nobody_confirms_is_not_collected_without_end() {
    let (mut log, mut follower) = Log::begin();
    let client = "x".repeat(60_000);
    let data = format!(r#"{{"client":"{client}","not_before":1}}"#);
    let mut applied = 0;
    while matches!(
        follower.frame(&log.append_raw("watermark", &data)),
        Step::Apply(_)
    ) {
        applied += 1;
    }
    assert_eq!(applied, MAX_UNCONFIRMED_BYTES / data.len());
    // A log that is confirmed now and then goes on for ever.
    let (mut log, mut follower) = Log::begin();
    for _ in 0..3 {
        for _ in 0..applied {
            let frame = log.append_raw("watermark", &data);
            assert!(matches!(follower.frame(&frame), Step::Apply(_)));
        }
        assert!(is_fresh(&log.deliver_beat(&mut follower)));
    }
}
