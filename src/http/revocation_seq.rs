//! `Revocation-Seq`: how far a verifier must have read the log of revocations to have seen what an
//! answer speaks of.

use actix_web::HttpResponse;
use actix_web::http::header::{HeaderName, HeaderValue};

use super::Endpoints;

pub(super) const REVOCATION_SEQ: HeaderName = HeaderName::from_static("revocation-seq");

impl Endpoints {
    /// Adds the header to the answer of whatever may have revoked something; where it has not, it
    /// says how far the log has come.
    ///
    /// Waits until what was committed is in the log. When the database goes away just then the
    /// revocation stands nevertheless, and the answer goes out without the header.
    pub(super) async fn with_revocation_seq(&self, mut response: HttpResponse) -> HttpResponse {
        match self.replica.revocations.settle().await {
            Ok(position) => {
                if let Ok(value) = HeaderValue::from_str(&position.to_string()) {
                    response.headers_mut().insert(REVOCATION_SEQ, value);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a revocation is committed but not in the log yet");
            }
        }
        response
    }
}
