//! `Revocation-Seq`: how far a verifier must have read the log of revocations to have seen what an
//! answer speaks of.

use actix_web::HttpResponse;
use actix_web::http::header::{HeaderName, HeaderValue};
use tokensmith_verify::revocation::Position;

use super::Endpoints;

const REVOCATION_SEQ: HeaderName = HeaderName::from_static("revocation-seq");

impl Endpoints {
    /// Makes sure that what was committed is in the log; answers how far that goes then.
    ///
    /// When the database goes away just then, the revocation stands nevertheless, and nobody can say
    /// where.
    pub(super) async fn settle_revocations(&self) -> Option<Position> {
        match self.replica.revocations.settle().await {
            Ok(position) => Some(position),
            Err(error) => {
                tracing::warn!(%error, "a revocation is committed but not in the log yet");
                None
            }
        }
    }

    /// Adds the header to the answer of whatever may have revoked something; where it has not, it
    /// says how far the log has come.
    pub(super) async fn with_revocation_seq(&self, response: HttpResponse) -> HttpResponse {
        let position = self.settle_revocations().await;
        add(position, response)
    }

    /// The same for pages, which [settle](Self::settle_revocations) when they have ended something: whoever
    /// only looks at one costs the database nothing.
    pub(super) fn with_known_revocation_seq(&self, response: HttpResponse) -> HttpResponse {
        add(Some(self.replica.revocations.position()), response)
    }
}

pub(super) fn add(position: Option<Position>, mut response: HttpResponse) -> HttpResponse {
    let value = position.and_then(|position| HeaderValue::from_str(&position.to_string()).ok());
    if let Some(value) = value {
        response.headers_mut().insert(REVOCATION_SEQ, value);
    }
    response
}
