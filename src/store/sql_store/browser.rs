//! [`BrowserStore`]: as in the module above, each method names its transition.

use async_trait::async_trait;

use super::{Database, SqlStore};
use crate::domain::Timestamp;
use crate::domain::audit::AuditRecord;
use crate::domain::browser_login::BrowserLogin;
use crate::domain::consent::Consent;
use crate::domain::id::{ClientId, LoginId, SessionId, UserId};
use crate::domain::ports::{
    BrowserStore, CodeGrant, CodeGranting, LoginEnd, LogoutDelivery, PushedRequest, RequestDigest,
    SignIn, SignInOutcome, StoreError, StoredLogin, UserChange,
};
use crate::domain::session::SessionEnd;
use crate::domain::user::Profile;
use crate::store::transitions::browser;

#[async_trait]
impl<D: Database> BrowserStore for SqlStore<D> {
    async fn sign_in(
        &self,
        order: &SignIn,
        record: &AuditRecord,
    ) -> Result<SignInOutcome, StoreError> {
        let order = order.clone();
        let record = self.proven(record);
        run!(self.write, browser::sign_in(&order, &record))
    }

    async fn find_login(&self, id: LoginId) -> Result<Option<StoredLogin>, StoreError> {
        run!(self.read, browser::find_login(id))
    }

    async fn note_login_use(
        &self,
        id: LoginId,
        now: Timestamp,
        idle_expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        run!(
            self.write_one,
            browser::note_login_use(id, now, idle_expires_at)
        )
    }

    async fn end_login(
        &self,
        id: LoginId,
        user: UserId,
        end: LoginEnd,
        record: &AuditRecord,
    ) -> Result<bool, StoreError> {
        let record = self.proven(record);
        run!(
            self.write_thorough,
            browser::end_login(id, user, end, &record)
        )
    }

    async fn list_logins(
        &self,
        user: UserId,
        now: Timestamp,
    ) -> Result<Vec<BrowserLogin>, StoreError> {
        run!(self.read, browser::list_logins(user, now))
    }

    async fn grant_code(
        &self,
        grant: &CodeGrant,
        now: Timestamp,
        record: &AuditRecord,
    ) -> Result<CodeGranting, StoreError> {
        let grant = grant.clone();
        let record = self.proven(record);
        run!(self.write, browser::grant_code(&grant, now, &record))
    }

    async fn find_consent(
        &self,
        user: UserId,
        client: &ClientId,
    ) -> Result<Option<Consent>, StoreError> {
        let client = client.clone();
        run!(self.read, browser::find_consent(user, &client))
    }

    async fn list_consents(&self, user: UserId) -> Result<Vec<Consent>, StoreError> {
        run!(self.read, browser::list_consents(user))
    }

    async fn withdraw_consent(
        &self,
        user: UserId,
        client: &ClientId,
        end: SessionEnd,
        record: &AuditRecord,
    ) -> Result<bool, StoreError> {
        let client = client.clone();
        let record = self.proven(record);
        run!(
            self.write_thorough,
            browser::withdraw_consent(user, &client, end, &record)
        )
    }

    async fn push_request(&self, pushed: &PushedRequest) -> Result<(), StoreError> {
        let pushed = pushed.clone();
        run!(self.write_one, browser::push_request(&pushed))
    }

    async fn find_pushed_request(
        &self,
        digest: RequestDigest,
    ) -> Result<Option<PushedRequest>, StoreError> {
        run!(self.read, browser::find_pushed_request(digest))
    }

    async fn discard_pushed_request(&self, digest: RequestDigest) -> Result<bool, StoreError> {
        run!(self.write_one, browser::discard_pushed_request(digest))
    }

    async fn change_profile(
        &self,
        user: UserId,
        profile: &Profile,
        record: &AuditRecord,
    ) -> Result<UserChange, StoreError> {
        let profile = profile.clone();
        let record = self.proven(record);
        run!(self.write, browser::change_profile(user, &profile, &record))
    }

    async fn claim_deliveries(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<LogoutDelivery>, StoreError> {
        // Nearly always there is nothing to do, and a reader sees that.
        if !run!(self.read, browser::has_due_delivery(now))? {
            return Ok(Vec::new());
        }
        run!(self.write, browser::claim_deliveries(now, until, limit))
    }

    async fn postpone_delivery(
        &self,
        session: SessionId,
        due_at: Timestamp,
    ) -> Result<(), StoreError> {
        run!(self.write_one, browser::postpone_delivery(session, due_at))
    }

    async fn finish_delivery(
        &self,
        session: SessionId,
        record: &AuditRecord,
    ) -> Result<(), StoreError> {
        let record = self.proven(record);
        run!(self.write, browser::finish_delivery(session, &record))
    }
}
