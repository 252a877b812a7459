//! What the `OpenID` Foundation's conformance suite demands of a provider, module by module, against
//! our own server. `docs/conformance.md` says which test stands for which module.

mod claims;
mod code;
mod discovery;
mod logout;
mod page;
mod redirect_uris;
mod relying_party;
mod request_objects;
mod sign_in;
