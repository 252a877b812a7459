//! How revocations are followed; set through [`VerifierBuilder`].

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::{Freshness, RevocationReader, VerifierBuilder};

use super::documents::Trust;
use super::endpoint::Endpoint;
use super::feed::Feed;
use super::follow::{Follow, FollowTask};
use super::{ConnectError, Discovery, RevocationError};

/// Off unless there is a policy.
#[derive(Debug, Clone, Default)]
pub(super) struct RevocationSettings {
    pub(super) freshness: Option<Freshness>,
    /// The issuer, if none is named.
    from: Option<String>,
    is_plain_allowed: bool,
}

impl VerifierBuilder<Discovery> {
    /// Honours revocations: a token is rejected within a second of its session's end, and the
    /// policy says what happens while nothing can be heard of them.
    ///
    /// The issuer must promise revocation: every token needs a claim `status`. Without this call
    /// the library connects to nothing but the issuer's metadata and key set, and does not look at
    /// `status`.
    ///
    /// ```no_run
    /// # use tokensmith_verify::{Freshness, Verifier};
    /// # async fn example(token: &str) -> Result<(), Box<dyn std::error::Error>> {
    /// let verifier = Verifier::discover("https://auth.example.com")
    ///     .audience("https://api.example.com")
    ///     .revocation(Freshness::default())
    ///     .connect()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn revocation(mut self, freshness: Freshness) -> Self {
        self.source.revocation.freshness = Some(freshness);
        self
    }

    /// Hears of revocations from a relay at this address, in the place of the issuer: under it are
    /// `/revocation/snapshot`, `/revocation/stream`, `/revocation/changes` and `/status-lists/{n}`.
    ///
    /// A relay needs no trust: all that it passes on is signed by the issuer or hashed into what
    /// is. It can be silent, and then the policy decides.
    pub fn revocation_from(mut self, url: impl Into<String>) -> Self {
        self.source.revocation.from = Some(url.into());
        self
    }

    /// Allows a relay on plain `http`, such as one inside the cluster.
    ///
    /// Dangerous only in part: whoever is on the way can see which indices are revoked, and can
    /// silence the relay. They cannot make a dead token pass for longer than the policy and the
    /// forgiven clock skew allow, because the documents are signed.
    pub fn danger_plain_http_relay(mut self) -> Self {
        self.source.revocation.is_plain_allowed = true;
        self
    }
}

impl RevocationSettings {
    pub(super) async fn connect(
        self,
        trust: Trust,
        issuer: &Endpoint,
        request_timeout: Duration,
    ) -> Result<(Arc<RevocationReader>, FollowTask), ConnectError> {
        let base = match &self.from {
            None => issuer.clone(),
            Some(url) if self.is_plain_allowed => Endpoint::parse_allowing_plain_http(url)?,
            Some(url) => Endpoint::parse(url)?,
        };
        let failed = |error: RevocationError| ConnectError::Revocation(error);
        let feed = Feed::new(base, request_timeout).map_err(|error| failed(error.into()))?;
        let reader = Arc::new(RevocationReader::new(&trust.issuer));
        let follow = Follow::begin(Arc::clone(&reader), Arc::new(feed), trust);
        let task = follow.await.map_err(failed)?.spawn();
        // Without one the policy decides, so there is nothing to report.
        let _ = timeout(request_timeout, reader.progress().was_confirmed()).await;
        Ok((reader, task))
    }
}
