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
use crate::domain::session::{Session, SessionEnd};
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
        self.write("create_user", move |connection| {
            Box::pin(async move { accounts::create_user(connection, &new, &record).await })
        })
        .await
    }

    async fn import_users(
        &self,
        users: &[NewUser],
        record: &AuditRecord,
    ) -> Result<Vec<UserCreation>, StoreError> {
        let users = users.to_vec();
        let record = self.proven(record);
        self.write("import_users", move |connection| {
            Box::pin(async move { accounts::import_users(connection, &users, &record).await })
        })
        .await
    }

    async fn find_user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        Ok(self
            .find_account_by_id(id)
            .await?
            .map(|account| account.user))
    }

    async fn find_account(&self, key: &IdentifierKey) -> Result<Option<Account>, StoreError> {
        let key = key.clone();
        self.read("find_account", move |connection| {
            Box::pin(async move { accounts::find_account(connection, &key).await })
        })
        .await
    }

    async fn find_users(&self, keys: &[IdentifierKey]) -> Result<Vec<User>, StoreError> {
        let keys = keys.to_vec();
        self.read("find_users", move |connection| {
            Box::pin(async move { accounts::find_users(connection, &keys).await })
        })
        .await
    }

    async fn find_account_by_id(&self, id: UserId) -> Result<Option<Account>, StoreError> {
        self.read("find_account_by_id", move |connection| {
            Box::pin(async move { accounts::find_account_by_id(connection, id).await })
        })
        .await
    }

    async fn list_users(&self, after: Option<UserId>, limit: u32) -> Result<Vec<User>, StoreError> {
        self.read("list_users", move |connection| {
            Box::pin(async move { accounts::list_users(connection, after, limit).await })
        })
        .await
    }

    async fn enable_user(
        &self,
        id: UserId,
        record: &AuditRecord,
    ) -> Result<UserChange, StoreError> {
        let record = self.proven(record);
        self.write("enable_user", move |connection| {
            Box::pin(async move { accounts::enable_user(connection, id, &record).await })
        })
        .await
    }

    async fn disable_user(
        &self,
        id: UserId,
        end: SessionEnd,
        record: &AuditRecord,
    ) -> Result<UserChange, StoreError> {
        let record = self.proven(record);
        self.write("disable_user", move |connection| {
            Box::pin(async move { accounts::disable_user(connection, id, end, &record).await })
        })
        .await
    }

    async fn delete_user(
        &self,
        id: UserId,
        end: SessionEnd,
        record: &AuditRecord,
    ) -> Result<UserChange, StoreError> {
        let record = self.proven(record);
        self.write("delete_user", move |connection| {
            Box::pin(async move { accounts::delete_user(connection, id, end, &record).await })
        })
        .await
    }

    async fn set_password(
        &self,
        order: &PasswordOrder,
        record: &AuditRecord,
    ) -> Result<UserChange, StoreError> {
        let order = order.clone();
        let record = self.proven(record);
        self.write("set_password", move |connection| {
            Box::pin(async move { accounts::set_password(connection, &order, &record).await })
        })
        .await
    }

    async fn upgrade_password_hash(
        &self,
        id: UserId,
        from: &PasswordHash,
        to: &PasswordHash,
    ) -> Result<(), StoreError> {
        let from = from.clone();
        let to = to.clone();
        self.write("upgrade_password_hash", move |connection| {
            Box::pin(
                async move { accounts::upgrade_password_hash(connection, id, &from, &to).await },
            )
        })
        .await
    }

    async fn charge_attempt(
        &self,
        keys: &[(ThrottleKey, ThrottlePolicy)],
        now: Timestamp,
    ) -> Result<Charge, StoreError> {
        let keys = keys.to_vec();
        self.write("charge_attempt", move |connection| {
            Box::pin(async move { logins::charge_attempt(connection, &keys, now).await })
        })
        .await
    }

    async fn refund_attempt(&self, keys: &[ThrottleKey]) -> Result<(), StoreError> {
        let keys = keys.to_vec();
        self.write("refund_attempt", move |connection| {
            Box::pin(async move { logins::refund_attempt(connection, &keys).await })
        })
        .await
    }

    async fn issue_code(
        &self,
        login: &LoginSuccess,
        now: Timestamp,
        record: &AuditRecord,
    ) -> Result<bool, StoreError> {
        let login = login.clone();
        let record = self.proven(record);
        self.write("issue_code", move |connection| {
            Box::pin(async move { logins::issue_code(connection, &login, now, &record).await })
        })
        .await
    }

    async fn find_code(&self, digest: CodeDigest) -> Result<Option<StoredCode>, StoreError> {
        self.read("find_code", move |connection| {
            Box::pin(async move { logins::find_code(connection, digest).await })
        })
        .await
    }

    async fn redeem_code(
        &self,
        digest: CodeDigest,
        session: &Session,
        record: &AuditRecord,
    ) -> Result<Redemption, StoreError> {
        let session = session.clone();
        let record = self.proven(record);
        self.write("redeem_code", move |connection| {
            Box::pin(
                async move { logins::redeem_code(connection, digest, &session, &record).await },
            )
        })
        .await
    }

    async fn find_session(&self, id: SessionId) -> Result<Option<StoredSession>, StoreError> {
        self.read("find_session", move |connection| {
            Box::pin(async move { sessions::find_session(connection, id).await })
        })
        .await
    }

    async fn rotate_session(&self, rotation: &Rotation) -> Result<bool, StoreError> {
        let rotation = rotation.clone();
        self.write_one("rotate_session", move |connection| {
            Box::pin(async move { sessions::rotate_session(connection, &rotation).await })
        })
        .await
    }

    async fn catch_up_session(
        &self,
        rotation: &Rotation,
        record: &AuditRecord,
    ) -> Result<bool, StoreError> {
        let rotation = rotation.clone();
        let record = self.proven(record);
        self.write("catch_up_session", move |connection| {
            Box::pin(
                async move { sessions::catch_up_session(connection, &rotation, &record).await },
            )
        })
        .await
    }

    async fn end_session(
        &self,
        id: SessionId,
        end: SessionEnd,
        record: &AuditRecord,
    ) -> Result<bool, StoreError> {
        let record = self.proven(record);
        self.write("end_session", move |connection| {
            Box::pin(async move { sessions::end_session(connection, id, end, &record).await })
        })
        .await
    }

    async fn end_sessions_of(
        &self,
        user: UserId,
        except: Option<SessionId>,
        end: SessionEnd,
        record: &AuditRecord,
    ) -> Result<u64, StoreError> {
        let record = self.proven(record);
        self.write("end_sessions_of", move |connection| {
            Box::pin(async move {
                sessions::end_sessions_of(connection, user, except, end, &record).await
            })
        })
        .await
    }

    async fn list_sessions(
        &self,
        user: UserId,
        now: Timestamp,
    ) -> Result<Vec<Session>, StoreError> {
        self.read("list_sessions", move |connection| {
            Box::pin(async move { sessions::list_sessions(connection, user, now).await })
        })
        .await
    }

    async fn rename_session(
        &self,
        user: UserId,
        id: SessionId,
        device: &DeviceLabel,
    ) -> Result<bool, StoreError> {
        let device = device.clone();
        self.write_one("rename_session", move |connection| {
            Box::pin(async move { sessions::rename_session(connection, user, id, &device).await })
        })
        .await
    }

    async fn record_session_use(&self, uses: &[SessionUse]) -> Result<(), StoreError> {
        let uses = uses.to_vec();
        self.write("record_session_use", move |connection| {
            Box::pin(async move { sessions::record_session_use(connection, &uses).await })
        })
        .await
    }

    async fn sweep(
        &self,
        after: Option<SessionId>,
        over_before: Timestamp,
        limit: u32,
    ) -> Result<Option<SessionId>, StoreError> {
        self.write("sweep", move |connection| {
            Box::pin(async move { sessions::sweep(connection, after, over_before, limit).await })
        })
        .await
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
        self.write_one("record", move |connection| {
            Box::pin(async move { audit::insert(connection, &record).await })
        })
        .await
    }

    async fn list_audit(
        &self,
        filter: &AuditFilter,
        before: Option<AuditId>,
        limit: u32,
    ) -> Result<Vec<StoredRecord>, StoreError> {
        let filter = filter.clone();
        self.read("list_audit", move |connection| {
            Box::pin(async move { audit::list(connection, &filter, before, limit).await })
        })
        .await
    }

    async fn sealed_records(
        &self,
        after: i64,
        limit: u32,
    ) -> Result<Vec<StoredRecord>, StoreError> {
        self.read("sealed_records", move |connection| {
            Box::pin(async move { audit::sealed(connection, after, limit).await })
        })
        .await
    }

    async fn unsealed_records(&self, limit: u32) -> Result<(Vec<AuditRecord>, Seal), StoreError> {
        self.read("unsealed_records", move |connection| {
            Box::pin(async move { audit::unsealed(connection, limit).await })
        })
        .await
    }

    async fn seal_records(
        &self,
        seals: &[(AuditId, Seal)],
        seen: Seal,
    ) -> Result<bool, StoreError> {
        let seals = seals.to_vec();
        self.write("seal_records", move |connection| {
            Box::pin(async move { audit::seal(connection, &seals, seen).await })
        })
        .await
    }
}
