//! An orders service on actix-web that lets callers with the scope `orders:read` list orders.
//!
//! ```text
//! cargo run -p tokensmith-verify --example actix --features actix -- \
//!     http://127.0.0.1:8080 https://api.example.com
//! curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:9000/orders
//! ```
//!
//! The arguments are the issuer and this service's audience; those above are the defaults.

use actix_web::{App, HttpServer, Responder, web};
use serde::Serialize;
use tokensmith_verify::Verifier;
use tokensmith_verify::actix::{Bearer, RequireScope};

#[derive(Serialize)]
struct Order {
    id: u32,
    customer: String,
    item: &'static str,
}

/// `Bearer` holds the verified claims: there is no way into this function without a good token.
async fn list_orders(bearer: Bearer) -> impl Responder {
    web::Json([Order {
        id: 1,
        customer: bearer.sub.clone(),
        item: "anvil",
    }])
}

#[actix_web::main]
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
    let orders_read = RequireScope::parse("orders:read")?;

    HttpServer::new(move || {
        App::new().app_data(web::Data::new(verifier.clone())).route(
            "/orders",
            web::get().to(list_orders).wrap(orders_read.clone()),
        )
    })
    .bind(("127.0.0.1", 9000))?
    .run()
    .await?;
    Ok(())
}
