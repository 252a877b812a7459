//! Status indices, leased from the database in blocks.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;

use crate::domain::Timestamp;
use crate::domain::ports::{StatusIndices, StatusPermutation, Store, StoreError};
use crate::domain::revocation::StatusIndex;

/// The most numbers that are leased at once. What is left of a block when the process ends is never
/// used: four thousand of a million.
const LARGEST_BLOCK: u32 = 4_096;

/// Hands out indices one by one. Blocks begin with one number and double, so that a command that
/// needs one wastes none, and a busy server asks seldom.
pub struct LeasedIndices {
    store: Arc<dyn Store>,
    permutation: Arc<dyn StatusPermutation>,
    block: Mutex<Block>,
}

/// Numbers that are this process's own.
#[derive(Default)]
struct Block {
    next: u64,
    end: u64,
    size: u32,
}

impl LeasedIndices {
    /// Has no numbers yet.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, permutation: Arc<dyn StatusPermutation>) -> Self {
        Self {
            store,
            permutation,
            block: Mutex::default(),
        }
    }
}

#[async_trait]
impl StatusIndices for LeasedIndices {
    async fn next(&self, now: Timestamp) -> Result<StatusIndex, StoreError> {
        let mut block = self.block.lock().await;
        if block.next == block.end {
            let size = (block.size * 2).clamp(1, LARGEST_BLOCK);
            let first = self.store.lease_status_numbers(size, now).await?;
            *block = Block {
                next: first,
                end: first + u64::from(size),
                size,
            };
        }
        let number = block.next;
        block.next += 1;
        Ok(self.permutation.index(number))
    }
}
