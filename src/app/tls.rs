//! TLS by rustls, for installations without a proxy in front.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::StartError;
use crate::config::TlsFiles;

/// TLS 1.2 and 1.3 with the certificate from the settings.
pub(super) fn server_config(files: &TlsFiles) -> Result<ServerConfig, StartError> {
    let unusable = |path: &Path, error: &dyn std::fmt::Display| {
        StartError::Tls(format!("cannot use {} for TLS: {error}", path.display()))
    };
    let certificates = CertificateDer::pem_file_iter(&files.certificates)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable(&files.certificates, &error))?;
    let private_key = PrivateKeyDer::from_pem_file(&files.private_key)
        .map_err(|error| unusable(&files.private_key, &error))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| StartError::Tls(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(certificates, private_key)
        .map_err(|error| unusable(&files.certificates, &error))
}
