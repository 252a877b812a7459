//! [`PeopleStore`] and [`AuditStore`]: as in the module above, each method names its transition.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Database, SqlStore};
use crate::domain::Timestamp;
use crate::domain::audit::{AuditRecord, Seal, StoredRecord};
use crate::domain::device::DeviceLabel;
use crate::domain::id::{AuditId, SessionId, UserId};
use crate::domain::identifier::IdentifierKey;
use crate::domain::password::PasswordHash;
use crate::domain::ports::{
    Account, AuditFilter, AuditStore, ChainSealer, Charge, CodeDigest, LoginSuccess, NewUser,
    PasswordOrder, PeopleStore, Redemption, Rotation, SessionUse, StoreError, StoredCode,
    StoredSession, UserChange, UserCreation,
};
use crate::domain::session::{Session, SessionEnd, Staying};
use crate::domain::throttle::{ThrottleKey, ThrottlePolicy};
use crate::domain::user::User;
use crate::store::transitions::{accounts, audit, logins, sessions};

#[async_trait]
impl<D: Database> PeopleStore for SqlStore<D> {
    async fn create_user(
        &self,
        new: &NewUser,
        record: &AuditRecord,
    ) -> Result<UserCreation, StoreError> {
        let new = new.clone();
        let record = self.proven(record);
        run!(self.write, accounts::create_user(&new, &record))
    }

    async fn import_users(
        &self,
        users: &[NewUser],
        record: &AuditRecord,
    ) -> Result<Vec<UserCreation>, StoreError> {
        let users = users.to_vec();
        let record = self.proven(record);
        run!(self.write, accounts::import_users(&users, &record))
    }

    async fn find_user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        Ok(self
            .find_account_by_id(id)
            .await?
            .map(|account| account.user))
    }

    async fn find_account(&self, key: &IdentifierKey) -> Result<Option<Account>, StoreError> {
        let key = key.clone();
        run!(self.read, accounts::find_account(&key))
    }

    async fn find_users(&self, keys: &[IdentifierKey]) -> Result<Vec<User>, StoreError> {
        let keys = keys.to_vec();
        run!(self.read, accounts::find_users(&keys))
    }

    async fn find_account_by_id(&self, id: UserId) -> Result<Option<Account>, StoreError> {
        run!(self.read, accounts::find_account_by_id(id))
    }

    async fn list_users(&self, after: Option<UserId>, limit: u32) -> Result<Vec<User>, StoreError> {
        run!(self.read, accounts::list_users(after, limit))
    }

    async fn enable_user(
        &self,
        id: UserId,
        record: &AuditRecord,
    ) -> Result<UserChange, StoreError> {
        let record = self.proven(record);
        run!(self.write, accounts::enable_user(id, &record))
    }

    async fn disable_user(
        &self,
        id: UserId,
        end: SessionEnd,
        record: &AuditRecord,
    ) -> Result<UserChange, StoreError> {
        let record = self.proven(record);
        run!(
            self.write_thorough,
            accounts::disable_user(id, end, &record)
        )
    }

    async fn delete_user(
        &self,
        id: UserId,
        end: SessionEnd,
        record: &AuditRecord,
    ) -> Result<UserChange, StoreError> {
        let record = self.proven(record);
        run!(self.write_thorough, accounts::delete_user(id, end, &record))
    }

    async fn set_password(
        &self,
        order: &PasswordOrder,
        record: &AuditRecord,
    ) -> Result<UserChange, StoreError> {
        let order = order.clone();
        let record = self.proven(record);
        run!(self.write_thorough, accounts::set_password(&order, &record))
    }

    async fn upgrade_password_hash(
        &self,
        id: UserId,
        from: &PasswordHash,
        to: &PasswordHash,
    ) -> Result<(), StoreError> {
        let from = from.clone();
        let to = to.clone();
        run!(self.write, accounts::upgrade_password_hash(id, &from, &to))
    }

    async fn charge_attempt(
        &self,
        keys: &[(ThrottleKey, ThrottlePolicy)],
        now: Timestamp,
    ) -> Result<Charge, StoreError> {
        let keys = keys.to_vec();
        run!(self.write, logins::charge_attempt(&keys, now))
    }

    async fn refund_attempt(&self, keys: &[ThrottleKey]) -> Result<(), StoreError> {
        let keys = keys.to_vec();
        run!(self.write, logins::refund_attempt(&keys))
    }

    async fn issue_code(
        &self,
        login: &LoginSuccess,
        now: Timestamp,
        record: &AuditRecord,
    ) -> Result<bool, StoreError> {
        let login = login.clone();
        let record = self.proven(record);
        run!(self.write, logins::issue_code(&login, now, &record))
    }

    async fn find_code(&self, digest: CodeDigest) -> Result<Option<StoredCode>, StoreError> {
        run!(self.read, logins::find_code(digest))
    }

    async fn redeem_code(
        &self,
        digest: CodeDigest,
        session: &Session,
        record: &AuditRecord,
    ) -> Result<Redemption, StoreError> {
        let session = session.clone();
        let record = self.proven(record);
        run!(self.write, logins::redeem_code(digest, &session, &record))
    }

    async fn find_session(&self, id: SessionId) -> Result<Option<StoredSession>, StoreError> {
        self.metrics.count("find_session");
        self.reads.pass(self.session_reads.find(id)).await
    }

    async fn rotate_session(&self, rotation: &Rotation) -> Result<bool, StoreError> {
        self.rotate(rotation.clone()).await
    }

    async fn catch_up_session(
        &self,
        rotation: &Rotation,
        record: &AuditRecord,
    ) -> Result<bool, StoreError> {
        let rotation = rotation.clone();
        let record = self.proven(record);
        run!(self.write, sessions::catch_up_session(&rotation, &record))
    }

    async fn end_session(
        &self,
        id: SessionId,
        end: SessionEnd,
        record: &AuditRecord,
    ) -> Result<bool, StoreError> {
        let record = self.proven(record);
        run!(self.write, sessions::end_session(id, end, &record))
    }

    async fn end_sessions_of(
        &self,
        user: UserId,
        except: Option<&Staying>,
        end: SessionEnd,
        record: &AuditRecord,
    ) -> Result<u64, StoreError> {
        let except = except.cloned();
        let record = self.proven(record);
        run!(
            self.write_thorough,
            sessions::end_sessions_of(user, except.as_ref(), end, &record)
        )
    }

    async fn list_sessions(
        &self,
        user: UserId,
        now: Timestamp,
    ) -> Result<Vec<Session>, StoreError> {
        run!(self.read, sessions::list_sessions(user, now))
    }

    async fn rename_session(
        &self,
        user: UserId,
        id: SessionId,
        device: &DeviceLabel,
    ) -> Result<bool, StoreError> {
        let device = device.clone();
        run!(self.write_one, sessions::rename_session(user, id, &device))
    }

    async fn record_session_use(&self, uses: &[SessionUse]) -> Result<(), StoreError> {
        let uses = uses.to_vec();
        run!(self.write, sessions::record_session_use(&uses))
    }

    async fn sweep(
        &self,
        after: Option<SessionId>,
        over_before: Timestamp,
        limit: u32,
    ) -> Result<Option<SessionId>, StoreError> {
        run!(self.write, sessions::sweep(after, over_before, limit))
    }
}

#[async_trait]
impl<D: Database> AuditStore for SqlStore<D> {
    fn prove_records_with(&self, sealer: Arc<dyn ChainSealer>) {
        // A second call would be with the sealer of the same master key.
        let _named_before = self.sealer.set(sealer);
    }

    async fn record(&self, record: &AuditRecord) -> Result<(), StoreError> {
        let record = self.proven(record);
        run!(self.write_one, audit::record(&record))
    }

    async fn list_audit(
        &self,
        filter: &AuditFilter,
        before: Option<AuditId>,
        limit: u32,
    ) -> Result<Vec<StoredRecord>, StoreError> {
        let filter = filter.clone();
        run!(self.read, audit::list_audit(&filter, before, limit))
    }

    async fn sealed_records(
        &self,
        after: i64,
        limit: u32,
    ) -> Result<Vec<StoredRecord>, StoreError> {
        run!(self.read, audit::sealed_records(after, limit))
    }

    async fn unsealed_records(&self, limit: u32) -> Result<(Vec<AuditRecord>, Seal), StoreError> {
        run!(self.read, audit::unsealed_records(limit))
    }

    async fn seal_records(
        &self,
        seals: &[(AuditId, Seal)],
        seen: Seal,
    ) -> Result<bool, StoreError> {
        let seals = seals.to_vec();
        run!(self.write, audit::seal_records(&seals, seen))
    }
}
