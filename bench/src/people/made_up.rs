//! Sessions that look like those of real people. They are the same every time they are asked for,
//! so a million of them take no memory.

use std::net::{IpAddr, Ipv4Addr};

use tokensmith::domain::Timestamp;
use tokensmith::domain::id::SessionId;
use tokensmith::domain::session::SessionSecret;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// The logins are spread over so long.
const LOGINS_OVER_MS: i64 = 20 * DAY_MS;
/// The accounts are older than that.
const ACCOUNTS_OVER_MS: i64 = 400 * DAY_MS;

/// A number of sessions, of half as many people.
#[derive(Clone, Debug)]
pub(crate) struct MadeUpSessions {
    newest_ms: i64,
    count: u32,
}

/// One of them, as it is stored when it begins.
pub(super) struct MadeUpSession {
    pub(super) id: [u8; 16],
    pub(super) user_id: [u8; 16],
    pub(super) secret: [u8; 16],
    pub(super) began_at_ms: i64,
    pub(super) address: String,
    pub(super) status_index: i64,
}

/// One of the people.
pub(super) struct MadeUpPerson {
    pub(super) id: [u8; 16],
    pub(super) username: String,
    pub(super) created_at_ms: i64,
}

impl MadeUpSessions {
    pub(crate) fn new(now: Timestamp, count: u32) -> Self {
        Self {
            newest_ms: now.timestamp_millis(),
            count,
        }
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// How many people they are of.
    pub(super) fn people(&self) -> u32 {
        self.count.div_ceil(2)
    }

    /// The id of the n-th session.
    pub(crate) fn id(&self, number: u32) -> SessionId {
        SessionId(time_ordered(
            self.began_at_ms(number),
            &mut Random::new("session", number),
        ))
    }

    /// The secret of the n-th session.
    pub(crate) fn secret(number: u32) -> SessionSecret {
        SessionSecret(Random::new("secret", number).bytes())
    }

    /// The n-th session; its bit is the n-th of the lists that they have for themselves.
    pub(super) fn session(&self, number: u32, first_index: i64) -> MadeUpSession {
        let mut random = Random::new("terms", number);
        MadeUpSession {
            id: self.id(number).0,
            user_id: self.person(random.below(self.people())).id,
            secret: Self::secret(number).0,
            began_at_ms: self.began_at_ms(number),
            address: random.address().to_string(),
            status_index: first_index + i64::from(number),
        }
    }

    pub(super) fn person(&self, number: u32) -> MadeUpPerson {
        let age = LOGINS_OVER_MS + share(ACCOUNTS_OVER_MS, number, self.people());
        let created_at_ms = self.newest_ms - age;
        MadeUpPerson {
            id: time_ordered(created_at_ms, &mut Random::new("person", number)),
            username: format!("made-up-{number}"),
            created_at_ms,
        }
    }

    fn began_at_ms(&self, number: u32) -> i64 {
        self.newest_ms - LOGINS_OVER_MS + share(LOGINS_OVER_MS, number, self.count)
    }
}

fn share(whole: i64, number: u32, of: u32) -> i64 {
    whole * i64::from(number) / i64::from(of.max(1))
}

/// A UUID version 7 (RFC 9562 §5.7).
fn time_ordered(milliseconds: i64, random: &mut Random) -> [u8; 16] {
    let milliseconds = u128::try_from(milliseconds).unwrap_or_default() << 80;
    let random = u128::from_be_bytes(random.bytes());
    let version_and_variant = 0x7000_8000_0000_0000_0000;
    let mask = 0x0fff_3fff_ffff_ffff_ffff;
    (milliseconds | version_and_variant | (random & mask)).to_be_bytes()
}

/// Numbers that look random and are the same in every run (`SplitMix64`).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The numbers of one use and one of its things.
    pub(crate) fn new(purpose: &str, number: u32) -> Self {
        let start = purpose.bytes().fold(u64::from(number) + 1, |state, byte| {
            state.rotate_left(8) ^ u64::from(byte)
        });
        let mut random = Self(start);
        // Neighbours are no longer alike after a step.
        Self(random.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`; zero when that is zero.
    pub(crate) fn below(&mut self, limit: u32) -> u32 {
        let scaled = (u128::from(self.next()) * u128::from(limit)) >> 64;
        u32::try_from(scaled).unwrap_or_default()
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for chunk in bytes.chunks_mut(8) {
            let random = self.next().to_be_bytes();
            chunk
                .iter_mut()
                .zip(random)
                .for_each(|(to, from)| *to = from);
        }
        bytes
    }

    /// An address somewhere.
    pub(crate) fn address(&mut self) -> IpAddr {
        Ipv4Addr::from(self.bytes::<4>()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions() -> MadeUpSessions {
        MadeUpSessions::new(Timestamp::from_timestamp(1_700_000_000, 0).unwrap(), 1_000)
    }

    #[test]
    fn ids_are_uuids_in_the_order_of_the_logins() {
        let made_up = sessions();
        let ids: Vec<_> = (0..1_000).map(|number| made_up.id(number)).collect();
        assert!(ids.is_sorted());
        for id in &ids {
            let text = id.to_string();
            assert_eq!(text.as_bytes()[14], b'7', "{text}");
            assert!(b"89ab".contains(&text.as_bytes()[19]), "{text}");
        }
        assert_eq!(
            ids,
            (0..1_000).map(|n| sessions().id(n)).collect::<Vec<_>>()
        );
    }

    #[test]
    fn sessions_are_of_people_that_there_are() {
        let made_up = sessions();
        let people: Vec<_> = (0..made_up.people())
            .map(|n| made_up.person(n).id)
            .collect();
        let of: std::collections::HashSet<_> =
            (0..1_000).map(|n| made_up.session(n, 0).user_id).collect();
        assert!(of.iter().all(|id| people.contains(id)));
        assert!(of.len() > 350, "{}", of.len());
    }

    #[test]
    fn random_numbers_stay_below_their_limit_and_reach_it() {
        let mut random = Random::new("test", 0);
        let drawn: Vec<_> = (0..1_000).map(|_| random.below(10)).collect();
        assert!((0..10).all(|number| drawn.contains(&number)));
        assert!(drawn.iter().all(|number| *number < 10));
        assert_eq!(random.below(0), 0);
    }
}
