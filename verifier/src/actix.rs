//! actix-web: an extractor and a scope guard that answer as RFC 6750 §3 asks.
//!
//! Put the [`Verifier`] into the application as `web::Data`. [`Bearer`] as a handler's argument
//! demands a good token; [`RequireScope`] around a route or a scope of routes demands scopes too.
//!
//! ```no_run
//! use actix_web::{App, web};
//! use tokensmith_verify::actix::{Bearer, RequireScope};
//! # use tokensmith_verify::Verifier;
//!
//! async fn orders(bearer: Bearer) -> String {
//!     format!("the orders of {}", bearer.sub)
//! }
//!
//! # fn app(verifier: Verifier) -> Result<(), tokensmith_verify::InvalidScope> {
//! let orders_read = RequireScope::parse("orders:read")?;
//! let app = App::new()
//!     .app_data(web::Data::new(verifier))
//!     .route("/orders", web::get().to(orders).wrap(orders_read));
//! # Ok(())
//! # }
//! ```
//!
//! Where revocations are honoured, a guard or the verifier of a scope of routes says what happens there
//! while nothing is heard of them; the answer is then 503.
//!
//! ```no_run
//! use actix_web::{App, web};
//! use tokensmith_verify::actix::{Bearer, RequireScope};
//! use tokensmith_verify::{Freshness, Verifier};
//!
//! # async fn pay(bearer: Bearer) -> String { bearer.sub.clone() }
//! # async fn orders(bearer: Bearer) -> String { bearer.sub.clone() }
//! # fn app(verifier: Verifier) -> Result<(), tokensmith_verify::InvalidScope> {
//! let pay_guard = RequireScope::parse("pay")?.freshness(Freshness::Strict);
//! let for_reading = verifier.with_freshness(Freshness::UntilExpiry);
//! let app = App::new()
//!     .app_data(web::Data::new(verifier))
//!     .route("/pay", web::post().to(pay).wrap(pay_guard))
//!     .service(
//!         web::scope("/archive")
//!             .app_data(web::Data::new(for_reading))
//!             .route("/orders", web::get().to(orders)),
//!     );
//! # Ok(())
//! # }
//! ```

use std::any::Any;
use std::future::{Future, Ready, ready};
use std::ops::Deref;
use std::pin::Pin;
use std::rc::Rc;

use actix_web::body::BoxBody;
use actix_web::dev::{Payload, Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, HeaderValue};
use actix_web::{
    Error, FromRequest, HttpMessage as _, HttpRequest, HttpResponse, HttpResponseBuilder,
    ResponseError, web,
};
use serde::de::DeserializeOwned;

use crate::challenge::{bearer_token, require_scope, require_unbound};
use crate::{
    Claims, Denial, Freshness, InvalidScope, NoCustomClaims, ScopeSet, Verified, Verifier,
};

type LocalFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// The verified claims of the request's bearer token.
///
/// As a handler's argument it lets only requests with a good token through; `X` are the custom
/// claims that it must carry.
#[derive(Debug, Clone)]
pub struct Bearer<X = NoCustomClaims>(Verified<Claims<X>>);

impl<X> Bearer<X> {
    /// Takes the claims out.
    #[must_use]
    pub fn into_verified(self) -> Verified<Claims<X>> {
        self.0
    }
}

impl<X> Deref for Bearer<X> {
    type Target = Verified<Claims<X>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<X: DeserializeOwned + Clone + 'static> FromRequest for Bearer<X> {
    type Error = Denial;
    type Future = LocalFuture<Result<Self, Denial>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let verifier = verifier(&request)?;
            verify(&request, verifier).await.map(Self)
        })
    }
}

/// A guard that lets only requests through whose bearer token carries all of these scopes.
///
/// Use it as middleware, around a route, a resource, a scope of routes or the whole application.
/// Guards nest: each demands its own scopes.
#[derive(Debug, Clone)]
pub struct RequireScope {
    required: ScopeSet,
    freshness: Option<Freshness>,
}

impl RequireScope {
    /// A guard for all of `required`. The empty set demands a good token and no scope.
    #[must_use]
    pub fn new(required: ScopeSet) -> Self {
        Self {
            required,
            freshness: None,
        }
    }

    /// A guard for a space-delimited list of scopes.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] when the text is not one.
    pub fn parse(required: &str) -> Result<Self, InvalidScope> {
        ScopeSet::parse(required).map(Self::new)
    }

    /// What to do here while nothing is heard of revocations, in the place of the verifier's own
    /// policy.
    #[must_use]
    pub fn freshness(mut self, freshness: Freshness) -> Self {
        self.freshness = Some(freshness);
        self
    }
}

impl<S> Transform<S, ServiceRequest> for RequireScope
where
    S: Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = Error> + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Transform = ScopeGuard<S>;
    type InitError = ();
    type Future = Ready<Result<ScopeGuard<S>, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(ScopeGuard {
            guard: self.clone(),
            inner: Rc::new(inner),
        }))
    }
}

/// The service that [`RequireScope`] puts around another.
#[derive(Debug)]
pub struct ScopeGuard<S> {
    guard: RequireScope,
    inner: Rc<S>,
}

impl<S> Service<ServiceRequest> for ScopeGuard<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = Error> + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Future = LocalFuture<Result<Self::Response, Error>>;

    forward_ready!(inner);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let inner = Rc::clone(&self.inner);
        let guard = self.guard.clone();
        Box::pin(async move {
            match guard.check(request.request()).await {
                Ok(()) => inner.call(request).await,
                Err(denial) => Ok(request.into_response(denial.error_response())),
            }
        })
    }
}

impl RequireScope {
    async fn check(&self, request: &HttpRequest) -> Result<(), Denial> {
        let verifier = verifier(request)?;
        let verifier = match self.freshness {
            Some(freshness) => verifier.with_freshness(freshness),
            None => verifier.clone(),
        };
        let claims = verify::<NoCustomClaims>(request, &verifier).await?;
        require_scope(&verifier, &claims, &self.required)?;
        request
            .extensions_mut()
            .insert(Admitted { verifier, claims });
        Ok(())
    }
}

/// What a guard has verified, and with which verifier: another one has other rules.
struct Admitted {
    verifier: Verifier,
    claims: Verified<Claims>,
}

/// Verifies the request's token, or takes over what a guard has already verified.
async fn verify<X>(
    request: &HttpRequest,
    verifier: &Verifier,
) -> Result<Verified<Claims<X>>, Denial>
where
    X: DeserializeOwned + Clone + 'static,
{
    if let Some(claims) = admitted(request, verifier) {
        return Ok(claims);
    }
    let authorization = request
        .headers()
        .get_all(AUTHORIZATION)
        .map(HeaderValue::as_bytes);
    let token = bearer_token(verifier, authorization, request.uri().query())?;
    let claims = verifier
        .verify_waiting(token)
        .await
        .map_err(|reject| Denial::rejected(verifier, reject))?;
    require_unbound(verifier, &claims)?;
    Ok(claims)
}

/// A guard knows no custom claims, so only the same type can be taken over.
fn admitted<X: Clone + 'static>(
    request: &HttpRequest,
    verifier: &Verifier,
) -> Option<Verified<Claims<X>>> {
    let extensions = request.extensions();
    let admitted = extensions.get::<Admitted>()?;
    let claims: &dyn Any = &admitted.claims;
    let claims = claims.downcast_ref::<Verified<Claims<X>>>()?;
    admitted
        .verifier
        .vouches_for(verifier)
        .then(|| claims.clone())
}

fn verifier(request: &HttpRequest) -> Result<&Verifier, Denial> {
    request
        .app_data::<web::Data<Verifier>>()
        .map(web::Data::get_ref)
        .or_else(|| request.app_data::<Verifier>())
        .ok_or(Denial::NotConfigured)
}

impl ResponseError for Denial {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut response = HttpResponseBuilder::new(self.status_code());
        for header in self.headers() {
            response.insert_header(header);
        }
        response.body(self.body())
    }
}
