//! What brings a person to the pages, on its way through them. It travels sealed (AES-256-GCM) in the
//! page itself, is good for ten minutes, and in the browser where it began only: so nobody can post a
//! form that the server has not given to this very browser (login CSRF), or finish there what was
//! begun elsewhere (session fixation).

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::domain::Timestamp;
use crate::domain::authorization::AuthorizationRequest;
use crate::domain::id::LoginId;
use crate::domain::ports::NoEntropy;
use crate::grants::{EndSession, GrantError, TokenService};

/// How long a person may take from the first page to the last.
const LIFETIME: TimeDelta = TimeDelta::minutes(10);
/// What an errand is sealed for.
const PURPOSE: &str = "errand";

/// What somebody is here for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Errand {
    /// A client wants a code.
    Authorize(Box<PendingRequest>),
    /// The person wants to see the own account.
    Manage(AccountPlace),
    /// A client wants the person to be signed out of this login; none when it is not known yet.
    SignOut(EndSession, Option<LoginId>),
}

/// A request that waits for the person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PendingRequest {
    /// What was asked for.
    pub request: AuthorizationRequest,
    /// Whether the person has chosen the account since.
    pub account_chosen: bool,
    /// The login whose person was asked to agree.
    pub asked: Option<LoginId>,
}

/// A page of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountPlace {
    /// The profile.
    Profile,
    /// The devices.
    Devices,
}

impl PendingRequest {
    /// A request that has just come.
    #[must_use]
    pub const fn new(request: AuthorizationRequest) -> Self {
        Self {
            request,
            account_chosen: false,
            asked: None,
        }
    }
}

/// Why an errand cannot be gone on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaleErrand {
    /// It is too old, or none of this server's.
    Over,
    /// It began in another browser.
    OtherBrowser,
}

/// An errand with what it is bound to.
#[derive(Serialize, Deserialize)]
struct Bound<E> {
    browser: String,
    expires_at: Timestamp,
    errand: E,
}

impl TokenService {
    /// Seals an errand for the way through the pages of one browser.
    ///
    /// # Errors
    /// Without random bytes.
    pub fn seal_errand(
        &self,
        errand: &Errand,
        browser: &str,
        now: Timestamp,
    ) -> Result<String, GrantError> {
        // However many pages it takes: what counts from the request on, such as `max_age`, is asked
        // for again after this.
        let began = match errand {
            Errand::Authorize(pending) => pending.request.started_at,
            Errand::Manage(_) | Errand::SignOut(..) => now,
        };
        let bound = Bound {
            browser: browser.to_owned(),
            expires_at: began + LIFETIME,
            errand,
        };
        let plain = serde_json::to_vec(&bound).map_err(GrantError::Claims)?;
        let sealed: Result<String, NoEntropy> = self.accounts.tokens.seal(PURPOSE, &plain);
        Ok(sealed?)
    }

    /// Opens what [`Self::seal_errand`] made, in the same browser and in time.
    ///
    /// # Errors
    /// When it was another browser, or too long ago.
    pub fn open_errand(
        &self,
        sealed: &str,
        browser: Option<&str>,
        now: Timestamp,
    ) -> Result<Errand, StaleErrand> {
        let plain = self.accounts.tokens.open(PURPOSE, sealed);
        let bound: Bound<Errand> = plain
            .and_then(|plain| serde_json::from_slice(&plain).ok())
            .ok_or(StaleErrand::Over)?;
        bound.check(browser, now)
    }
}

impl<E> Bound<E> {
    fn check(self, browser: Option<&str>, now: Timestamp) -> Result<E, StaleErrand> {
        // The name is sealed, so nobody learns it by trying.
        if browser != Some(self.browser.as_str()) {
            return Err(StaleErrand::OtherBrowser);
        }
        if now >= self.expires_at {
            return Err(StaleErrand::Over);
        }
        Ok(self.errand)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errand_is_good_for_its_time_in_its_browser() {
        let end = Timestamp::UNIX_EPOCH + LIFETIME;
        let checked = |browser: Option<&str>, now| {
            let bound = Bound {
                browser: "b".to_owned(),
                expires_at: end,
                errand: 1,
            };
            bound.check(browser, now)
        };
        let just_before = end - TimeDelta::milliseconds(1);
        assert_eq!(checked(Some("b"), just_before), Ok(1));
        assert_eq!(checked(Some("b"), end), Err(StaleErrand::Over));
        for other in [None, Some(""), Some("a"), Some("B")] {
            assert_eq!(checked(other, just_before), Err(StaleErrand::OtherBrowser));
        }
    }
}
