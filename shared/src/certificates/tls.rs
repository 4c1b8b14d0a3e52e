//! TLS settings of both ends of the link, and whether a leaf is good for its role. Knows nothing of files.

use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    CipherSuite, ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig,
    SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use super::{ALPN, API_NAME, CertificateError, PTYD_NAME, Role};

/// TLS of the dialling side: shows the api's certificate and takes only a ptyd of this CA.
///
/// Dial with the server name [`PTYD_NAME`]. TLS 1.3 only, no resumption and no early data: every connection checks
/// certificates afresh, and nothing can be replayed.
pub fn client_config(
    ca_pem: &[u8],
    cert_pem: &[u8],
    key_pem: &[u8],
) -> Result<ClientConfig, CertificateError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots(ca_pem)?)
        .with_client_auth_cert(chain(cert_pem)?, key(key_pem)?)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// TLS of the dialled side: shows ptyd's certificate and takes only an api of this CA.
///
/// TLS 1.3 only. It hands out no tickets: a resumed connection would skip the look at the client's certificate.
pub fn server_config(
    ca_pem: &[u8],
    cert_pem: &[u8],
    key_pem: &[u8],
) -> Result<ServerConfig, CertificateError> {
    let verifier = ApiVerifier::new(ca_pem)?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_single_cert(chain(cert_pem)?, key(key_pem)?)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// Says why a leaf and its key would not do for `role` at the time `at`; `Ok` if they would.
pub(super) fn check_leaf(
    role: Role,
    ca_pem: &[u8],
    cert_pem: &[u8],
    key_pem: &[u8],
    at: UnixTime,
) -> Result<(), CertificateError> {
    let chain = chain(cert_pem)?;
    let (leaf, between) = chain.split_first().ok_or(rustls::Error::NoCertificatesPresented)?;
    CertifiedKey::from_der(chain.clone(), key(key_pem)?, &provider())?;
    match role {
        Role::Api => {
            ApiVerifier::new(ca_pem)?.verify_client_cert(leaf, between, at)?;
        }
        Role::Ptyd => {
            let verifier =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots(ca_pem)?), provider()).build()?;
            verifier.verify_server_cert(leaf, between, &name(PTYD_NAME), &[], at)?;
        }
    }
    Ok(())
}

/// Says why a CA's certificate could not be used at all.
pub(super) fn check_ca(ca_pem: &[u8]) -> Result<(), CertificateError> {
    ApiVerifier::new(ca_pem).map(drop)
}

/// webpki's check of a client certificate (chain, dates, clientAuth), and that its name is an api's.
#[derive(Debug)]
struct ApiVerifier(Arc<dyn ClientCertVerifier>);

impl ApiVerifier {
    fn new(ca_pem: &[u8]) -> Result<Self, CertificateError> {
        Ok(Self(WebPkiClientVerifier::builder_with_provider(Arc::new(roots(ca_pem)?), provider()).build()?))
    }
}

impl ClientCertVerifier for ApiVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.0.verify_client_cert(end_entity, intermediates, now)?;
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, &name(API_NAME))?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// AES-128 before AES-256, which costs a third more for each byte of the link.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    Arc::new(provider)
}

#[expect(clippy::expect_used, reason = "both names are constants of this crate")]
fn name(text: &'static str) -> ServerName<'static> {
    ServerName::try_from(text).expect("a DNS name")
}

fn roots(ca_pem: &[u8]) -> Result<RootCertStore, CertificateError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem) {
        roots.add(certificate.map_err(|source| CertificateError::Pem { what: "CA certificate", source })?)?;
    }
    Ok(roots)
}

fn chain(cert_pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    CertificateDer::pem_slice_iter(cert_pem)
        .collect::<Result<_, _>>()
        .map_err(|source| CertificateError::Pem { what: "certificate", source })
}

fn key(key_pem: &[u8]) -> Result<PrivateKeyDer<'static>, CertificateError> {
    PrivateKeyDer::from_pem_slice(key_pem)
        .map_err(|source| CertificateError::Pem { what: "private key", source })
}
