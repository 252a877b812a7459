//! tower, and so axum: a layer that answers as RFC 6750 §3 asks.
//!
//! Requests that pass carry [`Verified<Claims>`](crate::Verified) in their extensions.
//!
//! ```
//! use axum::{Extension, Router, routing::get};
//! use tokensmith_verify::tower::BearerLayer;
//! use tokensmith_verify::{Claims, Verified, Verifier};
//!
//! async fn orders(Extension(claims): Extension<Verified<Claims>>) -> String {
//!     format!("the orders of {}", claims.sub)
//! }
//!
//! # fn app(verifier: Verifier) -> Result<(), tokensmith_verify::InvalidScope> {
//! let orders_read = BearerLayer::new(verifier).require_scope("orders:read".parse()?);
//! let app: Router = Router::new().route("/orders", get(orders).layer(orders_read));
//! # Ok(())
//! # }
//! ```
//!
//! Where revocations are honoured, each layer has its own policy for when nothing is heard of them;
//! the answer is then 503.
//!
//! ```
//! # use axum::{Router, routing::{get, post}};
//! # use tokensmith_verify::tower::BearerLayer;
//! # use tokensmith_verify::{Freshness, Verifier};
//! # async fn pay() {}
//! # async fn orders() {}
//! # fn app(verifier: Verifier) {
//! let strict = BearerLayer::new(verifier.with_freshness(Freshness::Strict));
//! let app: Router = Router::new()
//!     .route("/pay", post(pay).layer(strict))
//!     .route("/orders", get(orders).layer(BearerLayer::new(verifier)));
//! # }
//! ```

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response, StatusCode};
use serde::de::DeserializeOwned;
use tower_layer::Layer;
use tower_service::Service;

use crate::challenge::{bearer_token, require_scope, require_unbound};
use crate::{Claims, Denial, NoCustomClaims, ScopeSet, Verified, Verifier};

/// A layer that lets only requests with a good bearer token through; `X` are the custom claims
/// that the token must carry.
#[derive(Debug)]
pub struct BearerLayer<X = NoCustomClaims> {
    verifier: Verifier,
    required: ScopeSet,
    custom: PhantomData<fn() -> X>,
}

impl BearerLayer {
    /// A layer that demands a good token and no scope.
    #[must_use]
    pub fn new(verifier: Verifier) -> Self {
        Self::with_custom_claims(verifier)
    }
}

impl<X> BearerLayer<X> {
    /// A layer that also demands custom claims of the form `X`.
    #[must_use]
    pub fn with_custom_claims(verifier: Verifier) -> Self {
        Self {
            verifier,
            required: ScopeSet::default(),
            custom: PhantomData,
        }
    }

    /// Demands all of these scopes, in the place of those demanded before.
    #[must_use]
    pub fn require_scope(mut self, required: ScopeSet) -> Self {
        self.required = required;
        self
    }
}

impl<X> Clone for BearerLayer<X> {
    fn clone(&self) -> Self {
        Self {
            verifier: self.verifier.clone(),
            required: self.required.clone(),
            custom: PhantomData,
        }
    }
}

impl<S, X> Layer<S> for BearerLayer<X> {
    type Service = BearerService<S, X>;

    fn layer(&self, inner: S) -> Self::Service {
        BearerService {
            layer: self.clone(),
            inner,
        }
    }
}

/// The service that [`BearerLayer`] puts around another.
#[derive(Debug)]
pub struct BearerService<S, X = NoCustomClaims> {
    layer: BearerLayer<X>,
    inner: S,
}

impl<S: Clone, X> Clone for BearerService<S, X> {
    fn clone(&self) -> Self {
        Self {
            layer: self.layer.clone(),
            inner: self.inner.clone(),
        }
    }
}

impl<S, X, B, R> Service<Request<B>> for BearerService<S, X>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    X: DeserializeOwned + Clone + Send + Sync + 'static,
    B: Send + 'static,
    R: From<String>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // The clone may not be ready; the service that was polled is.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let layer = self.layer.clone();
        Box::pin(async move {
            let token = layer.find_token(&request).map(str::to_owned);
            let outcome = match token {
                Ok(token) => layer.verify(&token).await,
                Err(denial) => Err(denial),
            };
            match outcome {
                Ok(claims) => {
                    request.extensions_mut().insert(claims);
                    inner.call(request).await
                }
                Err(denial) => Ok(response(&denial)),
            }
        })
    }
}

impl<X: DeserializeOwned + 'static> BearerLayer<X> {
    fn find_token<'r, B>(&self, request: &'r Request<B>) -> Result<&'r str, Denial> {
        let authorization = request.headers().get_all(AUTHORIZATION);
        let authorization = authorization.into_iter().map(HeaderValue::as_bytes);
        bearer_token(&self.verifier, authorization, request.uri().query())
    }

    async fn verify(&self, token: &str) -> Result<Verified<Claims<X>>, Denial> {
        let claims = self
            .verifier
            .verify_waiting(token)
            .await
            .map_err(|reject| Denial::rejected(&self.verifier, reject))?;
        require_unbound(&self.verifier, &claims)?;
        require_scope(&self.verifier, &claims, &self.required)?;
        Ok(claims)
    }
}

fn response<R: From<String>>(denial: &Denial) -> Response<R> {
    let mut response = Response::new(R::from(denial.body()));
    *response.status_mut() =
        StatusCode::from_u16(denial.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in denial.headers() {
        // Every value is visible ASCII, by construction.
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
