//! Builds a relay from its parts.

use std::net::TcpListener;
use std::sync::Arc;

use actix_web::web;

use super::StartError;
use super::server::{bind, serve, streams};
use super::stop::{StopSignal, run_until_stopped};
use crate::cli::relay::RelayArgs;
use crate::config::Settings;
use crate::crypto::SystemEntropy;
use crate::domain::ports::Entropy;
use crate::http::relay::{self, RelayEndpoints};
use crate::relay::{Relay, Upstream};
use crate::revocation::Feed;
use crate::telemetry::metrics::Metrics;

/// Runs a relay until it is told to stop.
///
/// # Errors
/// When it does not start, or the server fails.
pub(super) async fn run(settings: &Settings, arguments: &RelayArgs) -> Result<(), StartError> {
    let upstream = Upstream::new(&arguments.upstream, arguments.allow_plain_http)?;
    let listener: TcpListener = bind(settings.listen)?;
    let address = listener.local_addr().ok();
    let metrics = Metrics::default();
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::default());
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        upstream = upstream.url(),
        address = address.map(|address| address.to_string()),
        "listening"
    );
    let feed = Feed::new(metrics.feed.clone());
    let relay = web::Data::new(Relay::new(upstream, feed.clone(), Arc::clone(&entropy)));
    let endpoints = Arc::new(RelayEndpoints::new(
        relay.clone(),
        metrics,
        streams(settings),
        settings.trusted_proxies.clone(),
        &*entropy,
    ));
    // Before anybody can find the relay ready, and stop it.
    let stop = StopSignal::register();
    let server = serve(settings, listener, move |config| {
        relay::mount(config, &endpoints);
    })?;
    let following = tokio::spawn(async move { relay.follow().await });
    let outcome = run_until_stopped(server, stop, feed).await;
    following.abort();
    tracing::info!("stopped");
    outcome.map_err(StartError::Server)
}
