use proptest::prelude::*;

use super::super::key::{KeyUse, PublicJwk, PublicKeyParameters, SealedPrivateKey};
use super::*;

const ALGORITHM: Algorithm = Algorithm::RS256;

fn at(hours: i64) -> Timestamp {
    Timestamp::from_timestamp(1_800_000_000 + hours * 3600, 0).unwrap()
}

fn policy() -> RotationPolicy {
    RotationPolicy {
        rotation_period: TimeDelta::days(30),
        lead_time: TimeDelta::hours(24),
        retention: TimeDelta::minutes(61),
    }
}

/// The key table, changed by plans as the stores change theirs.
#[derive(Debug, Default)]
struct Table(Vec<SigningKey>);

impl Table {
    fn chain(&self) -> KeyChain<'_> {
        KeyChain::of(&self.0, ALGORITHM)
    }

    fn apply(&mut self, plan: &KeyPlan, now: Timestamp) {
        for (kid, schedule) in &plan.reschedule {
            self.key_mut(kid).schedule = *schedule;
        }
        for kid in &plan.revoke {
            self.key_mut(kid).revoked_at = Some(now);
        }
        for kid in &plan.destroy_private {
            self.key_mut(kid).sealed_private = None;
        }
        if let Some(planned) = plan.new_key {
            assert!(
                self.0.iter().all(|key| key.slot != planned.slot),
                "slots are unique"
            );
            self.0.push(key(planned, now));
        }
    }

    fn key_mut(&mut self, kid: &Kid) -> &mut SigningKey {
        self.0.iter_mut().find(|key| key.kid == *kid).unwrap()
    }

    fn upkeep(&mut self, now: Timestamp) {
        let plan = self.chain().upkeep(now, &policy());
        self.apply(&plan, now);
    }

    fn signer(&self, now: Timestamp) -> i64 {
        self.chain().signer(now).unwrap().slot
    }

    fn states(&self, now: Timestamp) -> Vec<KeyState> {
        self.0
            .iter()
            .map(|key| self.chain().state(key, now))
            .collect()
    }
}

fn key(planned: PlannedKey, now: Timestamp) -> SigningKey {
    let kid = format!("{:A>43}", planned.slot);
    SigningKey {
        kid: kid.parse().unwrap(),
        algorithm: planned.algorithm,
        slot: planned.slot,
        public_jwk: PublicJwk {
            parameters: PublicKeyParameters::Rsa {
                n: String::new(),
                e: String::new(),
            },
            usage: KeyUse::Signature,
            alg: planned.algorithm,
            kid,
        },
        sealed_private: Some(SealedPrivateKey(Vec::new())),
        created_at: now,
        schedule: planned.schedule,
        revoked_at: None,
    }
}

#[test]
fn the_first_key_signs_at_once_and_the_next_is_published_a_day_ahead() {
    use KeyState::{Active, Gone, Next, Retiring};
    let mut table = Table::default();
    table.upkeep(at(0));
    assert_eq!(table.states(at(0)), [Active]);

    let month = 30 * 24;
    table.upkeep(at(month - 25));
    assert_eq!(table.0.len(), 1, "nothing is due yet");
    table.upkeep(at(month - 24));
    assert_eq!(table.states(at(month - 24)), [Active, Next]);
    assert_eq!(table.states(at(month)), [Retiring, Active]);
    assert_eq!(table.states(at(month + 2)), [Gone, Active]);

    table.upkeep(at(month + 2));
    assert!(
        table.0[0].sealed_private.is_none(),
        "a key that is gone cannot be stolen"
    );
    assert!(table.0[1].sealed_private.is_some());
}

#[test]
fn a_fleet_that_slept_through_a_rotation_still_publishes_before_it_signs() {
    let mut table = Table::default();
    table.upkeep(at(0));
    let late = 100 * 24;
    assert_eq!(
        table.states(at(late)),
        [KeyState::Active],
        "the old key goes on alone"
    );
    table.upkeep(at(late));
    assert_eq!(table.signer(at(late + 23)), 1);
    assert_eq!(table.signer(at(late + 24)), 2);
    assert_eq!(
        table.states(at(late + 24)),
        [KeyState::Retiring, KeyState::Active]
    );
}

#[test]
fn a_rotation_by_hand_waits_for_the_lead_time_unless_it_is_an_emergency() {
    let mut table = Table::default();
    table.upkeep(at(0));
    let plan = table
        .chain()
        .rotate(at(5), Activation::AfterLeadTime, &policy());
    table.apply(&plan, at(5));
    assert_eq!((table.signer(at(28)), table.signer(at(29))), (1, 2));

    let again = table
        .chain()
        .rotate(at(6), Activation::AfterLeadTime, &policy());
    assert!(
        again.is_empty(),
        "the waiting key already comes as early as it may"
    );
    let plan = table
        .chain()
        .rotate(at(6), Activation::Immediately, &policy());
    assert_eq!(plan.new_key, None, "the waiting key is brought forward");
    table.apply(&plan, at(6));
    assert_eq!(table.signer(at(6)), 2);
    assert_eq!(table.states(at(6)), [KeyState::Retiring, KeyState::Active]);
}

#[test]
fn no_replica_signs_with_a_key_that_another_does_not_publish_yet() {
    let published = TimeDelta::seconds(2);
    let rotate = |table: &Table, now| {
        table
            .chain()
            .rotate(now, Activation::Immediately, &policy())
    };
    let import = |table: &Table, now| {
        table
            .chain()
            .import(now, Activation::Immediately, &policy())
    };
    for plan in [rotate, import] {
        let mut table = Table::default();
        let first = plan(&table, at(0));
        table.apply(&first, at(0));
        assert_eq!(table.signer(at(0)), 1, "there is nobody to wait for");
        let next = plan(&table, at(1));
        table.apply(&next, at(1));
        assert_eq!(table.states(at(1)), [KeyState::Active, KeyState::Next]);
        assert_eq!(table.signer(at(1) + published), 2);
    }
}

#[test]
fn revoking_the_signer_puts_the_waiting_key_or_a_new_one_in_its_place_at_once() {
    let mut table = Table::default();
    table.upkeep(at(0));
    let first = table.0[0].kid.clone();
    let plan = table.chain().revoke(&first, at(1), &policy()).unwrap();
    table.apply(&plan, at(1));
    assert_eq!(table.states(at(1)), [KeyState::Revoked, KeyState::Active]);
    assert!(table.0[0].sealed_private.is_none());
    assert_eq!(
        table.chain().revoke(&first, at(2), &policy()),
        None,
        "once is enough"
    );

    let plan = table
        .chain()
        .rotate(at(3), Activation::AfterLeadTime, &policy());
    table.apply(&plan, at(3));
    let second = table.0[1].kid.clone();
    let plan = table.chain().revoke(&second, at(4), &policy()).unwrap();
    assert_eq!(plan.new_key, None);
    table.apply(&plan, at(4));
    assert_eq!(table.signer(at(4)), 3);
}

#[test]
fn an_imported_key_takes_the_place_of_the_one_that_waits() {
    use KeyState::{Active, Next, Revoked};
    let mut table = Table::default();
    table.upkeep(at(0));
    let plan = table
        .chain()
        .rotate(at(1), Activation::AfterLeadTime, &policy());
    table.apply(&plan, at(1));
    let plan = table
        .chain()
        .import(at(2), Activation::AfterLeadTime, &policy());
    table.apply(&plan, at(2));
    assert_eq!(table.states(at(2)), [Active, Revoked, Next]);
    assert_eq!((table.signer(at(25)), table.signer(at(26))), (1, 3));
}

#[test]
fn a_clock_that_runs_behind_uses_the_replacement_of_a_revoked_key_early() {
    let mut table = Table::default();
    table.upkeep(at(0));
    let plan = table
        .chain()
        .revoke(&table.0[0].kid.clone(), at(5), &policy())
        .unwrap();
    table.apply(&plan, at(5));
    assert_eq!(table.signer(at(4)), 2);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Wait(i64),
    Rotate(Activation),
    Import(Activation),
    RevokeSigner,
    RevokePending,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let activation = prop_oneof![
        Just(Activation::AfterLeadTime),
        Just(Activation::Immediately)
    ];
    let step = prop_oneof![
        6 => (1i64..400).prop_map(Step::Wait),
        1 => activation.clone().prop_map(Step::Rotate),
        1 => activation.prop_map(Step::Import),
        1 => Just(Step::RevokeSigner),
        1 => Just(Step::RevokePending),
    ];
    prop::collection::vec(step, 1..40)
}

#[test]
fn when_all_begins_anew_no_key_of_before_is_left() {
    let mut table = Table::default();
    table.upkeep(at(0));
    for hour in 1..=24 * 30 {
        table.upkeep(at(hour));
    }
    let now = at(24 * 30);
    let rotated = table
        .chain()
        .rotate(now, Activation::AfterLeadTime, &policy());
    table.apply(&rotated, now);
    assert_eq!(
        table.states(now),
        [KeyState::Retiring, KeyState::Active, KeyState::Next]
    );
    let plan = table.chain().begin_anew(now, &policy());
    table.apply(&plan, now);
    assert_eq!(
        table.states(now),
        [
            KeyState::Revoked,
            KeyState::Revoked,
            KeyState::Revoked,
            KeyState::Active
        ]
    );
    let with_private = |key: &&SigningKey| key.sealed_private.is_some();
    assert_eq!(table.0.iter().filter(with_private).count(), 1);

    let again = table.chain().begin_anew(now, &policy());
    let last = table.0.last().unwrap().kid.clone();
    assert_eq!(
        (again.revoke, again.destroy_private),
        (vec![last.clone()], vec![last])
    );
}

proptest! {
    #[test]
    fn every_token_can_be_verified_for_its_whole_life_whatever_operators_do(steps in steps()) {
        let (mut table, mut hour) = (Table::default(), 0);
        // (hour of signing, slot of the signer)
        let mut signed: Vec<(i64, i64)> = Vec::new();
        table.upkeep(at(0));
        for step in steps {
            let now = at(hour);
            let chain = table.chain();
            let plan = match step {
                Step::Wait(hours) => {
                    // Upkeep runs every hour.
                    for _ in 0..hours {
                        hour += 1;
                        table.upkeep(at(hour));
                        signed.push((hour, table.signer(at(hour))));
                    }
                    continue;
                }
                Step::Rotate(activation) => Some(chain.rotate(now, activation, &policy())),
                Step::Import(activation) => Some(chain.import(now, activation, &policy())),
                Step::RevokeSigner => {
                    chain.signer(now).and_then(|key| chain.revoke(&key.kid, now, &policy()))
                }
                Step::RevokePending => {
                    chain.pending(now).and_then(|key| chain.revoke(&key.kid, now, &policy()))
                }
            };
            let emergency = !matches!(
                step,
                Step::Rotate(Activation::AfterLeadTime) | Step::Import(Activation::AfterLeadTime)
            );
            let before = table.signer(now);
            if let Some(plan) = plan {
                table.apply(&plan, now);
            }
            prop_assert!(emergency || table.signer(now) == before, "nobody signs unannounced");
            let active = table.states(now).iter().filter(|s| **s == KeyState::Active).count();
            prop_assert_eq!(active, 1);
            signed.push((hour, table.signer(now)));
        }
        for (signed_hour, slot) in signed {
            let key = table.0.iter().find(|key| key.slot == slot).unwrap();
            if key.revoked_at.is_some() {
                continue;
            }
            // The longest token lives one hour.
            for later in [signed_hour, signed_hour + 1].into_iter().filter(|at| *at <= hour) {
                let state = table.chain().state(key, at(later));
                prop_assert!(state.is_published(), "{slot} signed at {signed_hour}: {state}");
            }
        }
    }
}
