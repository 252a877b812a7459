//! Cutting off everything that is older than an instant: tokens, and who signed in before it.

use std::sync::Arc;

use super::AdminError;
use crate::domain::Timestamp;
use crate::domain::audit::{AuditKind, AuditRecord, Origin};
use crate::domain::id::ClientId;
use crate::domain::ports::{Entropy, Store};
use crate::domain::revocation::{CutOffOrder, CutOffScope};

/// The use cases of cut-offs.
#[derive(Clone)]
pub struct CutOffs {
    /// The database.
    pub store: Arc<dyn Store>,
    /// For the ids of audit records.
    pub entropy: Arc<dyn Entropy>,
}

impl CutOffs {
    /// Cuts off the tokens of a client that were issued before an instant, and the sessions with it
    /// that were begun before.
    ///
    /// # Errors
    /// When there is no such client, or the instant lies ahead.
    pub async fn of_client(
        &self,
        client: &ClientId,
        before: Timestamp,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), AdminError> {
        if self.store.find_client(client).await?.is_none() {
            return Err(AdminError::NoSuchClient(client.clone()));
        }
        let record = self.record(before, origin, now)?.about_client(client);
        let whose = CutOffScope::Client(client.clone());
        let order = CutOffOrder::new(whose, before, now);
        Ok(self.store.cut_off(&order, &record).await?)
    }

    /// Cuts off all tokens that were issued before an instant, and whoever signed in before: after a
    /// backup was restored, which may have brought ended sessions back.
    ///
    /// # Errors
    /// When the instant lies ahead.
    pub async fn of_issuer(
        &self,
        before: Timestamp,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), AdminError> {
        let record = self.record(before, origin, now)?;
        let order = CutOffOrder::new(CutOffScope::Issuer, before, now);
        Ok(self.store.cut_off(&order, &record).await?)
    }

    pub(super) fn record(
        &self,
        before: Timestamp,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<AuditRecord, AdminError> {
        // Tokens would be held back until then.
        if before > now {
            return Err(AdminError::CutOffAhead);
        }
        let record = AuditRecord::new(AuditKind::TokensCutOff, origin, now, &*self.entropy)?;
        Ok(record.with_detail(format!("before {}", before.to_rfc3339())))
    }
}
