//! An orders service on axum that lets callers with the scope `orders:read` list orders.
//!
//! ```text
//! cargo run -p tokensmith-verify --example axum --features tower -- \
//!     http://127.0.0.1:8080 https://api.example.com
//! curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:9001/orders
//! ```
//!
//! The arguments are the issuer and this service's audience; those above are the defaults.

use axum::routing::get;
use axum::{Extension, Json, Router};
use serde::Serialize;
use tokensmith_verify::tower::BearerLayer;
use tokensmith_verify::{Claims, Verified, Verifier};

#[derive(Serialize)]
struct Order {
    id: u32,
    customer: String,
    item: &'static str,
}

/// `Verified` can only come from a verifier: there is no way into this function without a good
/// token.
async fn list_orders(Extension(claims): Extension<Verified<Claims>>) -> Json<[Order; 1]> {
    Json([Order {
        id: 1,
        customer: claims.sub.clone(),
        item: "anvil",
    }])
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let issuer = arguments
        .next()
        .unwrap_or_else(|| "http://127.0.0.1:8080".to_owned());
    let audience = arguments
        .next()
        .unwrap_or_else(|| "https://api.example.com".to_owned());

    // Fetches the issuer's metadata and keys once, and keeps the keys fresh in the background.
    let verifier = Verifier::discover(issuer)
        .audience(audience)
        .connect()
        .await?;
    let orders_read = BearerLayer::new(verifier).require_scope("orders:read".parse()?);

    let app = Router::new().route("/orders", get(list_orders).layer(orders_read));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 9001)).await?;
    axum::serve(listener, app).await?;
    Ok(())
}
