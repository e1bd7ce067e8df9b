//! Mutual TLS 1.3 with raw Ed25519 public keys (RFC 7250): the pinned key is the identity.
//!
//! Guarantees: pins are asked at every handshake, because there are no tickets, no stored sessions and no
//! 0-RTT by which a removed key could come back; the key exchange is X25519MLKEM768 and nothing else;
//! no X.509, no dates, no names. `AuthenticatedPeer` is made here and nowhere else.

use std::fmt;
use std::sync::Arc;

use quinn::crypto::rustls::{HandshakeData, QuicClientConfig, QuicServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{
    CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme,
};

use crate::host::Pins;
use crate::identity::{AuthenticatedPeer, NodeKey, PeerId};

/// The name in every client hello; it says nothing, keys say who is who.
pub(super) const SERVER_NAME: &str = "raccordo";

/// ALPN of an invitation's redemption.
pub(super) const ALPN_JOIN: &[u8] = b"raccordo-join/1";

/// ALPN that peers without a common major version meet on, to tell each other theirs.
pub(super) const ALPN_VERSIONS: &[u8] = b"raccordo-versions";

/// DER in front of an Ed25519 key in a `SubjectPublicKeyInfo` (RFC 8410).
const SPKI_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// Whose key the other end may have.
#[derive(Clone)]
pub(super) enum Admit {
    /// Any pinned one.
    Pinned(Arc<dyn Pins>),
    /// This one, as long as it is pinned.
    PinnedOne(Arc<dyn Pins>, PeerId),
    /// This one, known from an invitation.
    Exactly(PeerId),
}

impl Admit {
    fn admits(&self, key: &PeerId) -> bool {
        match self {
            Self::Pinned(pins) => pins.admits(key),
            Self::PinnedOne(pins, expected) => key == expected && pins.admits(key),
            Self::Exactly(expected) => key == expected,
        }
    }
}

impl fmt::Debug for Admit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Pinned(_) => "Pinned",
            Self::PinnedOne(..) => "PinnedOne",
            Self::Exactly(_) => "Exactly",
        })
    }
}

/// This node's side of every handshake.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    provider: Arc<CryptoProvider>,
    certified: Arc<CertifiedKey>,
}

impl Identity {
    pub(super) fn new(key: &NodeKey) -> Result<Self, Error> {
        let mut provider = aws_lc_rs::default_provider();
        provider.kx_groups = vec![aws_lc_rs::kx_group::X25519MLKEM768];
        let private = PrivatePkcs8KeyDer::from(key.pkcs8());
        let signer = provider.key_provider.load_private_key(private.into())?;
        let spki = [SPKI_PREFIX.as_slice(), key.public().as_bytes()].concat();
        Ok(Self {
            provider: Arc::new(provider),
            certified: Arc::new(CertifiedKey::new(vec![CertificateDer::from(spki)], signer)),
        })
    }

    /// The accepting side, for the given protocols, the preferred first.
    pub(super) fn server(
        &self,
        admit: Admit,
        alpn: Vec<Vec<u8>>,
    ) -> Result<QuicServerConfig, Error> {
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(self.verifier(admit))
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(
                self.certified.clone(),
            )));
        config.alpn_protocols = alpn;
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.max_early_data_size = 0;
        QuicServerConfig::try_from(config).map_err(|error| Error::General(error.to_string()))
    }

    /// The dialling side.
    pub(super) fn client(
        &self,
        admit: Admit,
        alpn: Vec<Vec<u8>>,
    ) -> Result<QuicClientConfig, Error> {
        let mut config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier(admit))
            .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(
                self.certified.clone(),
            )));
        config.alpn_protocols = alpn;
        config.resumption = Resumption::disabled();
        config.enable_early_data = false;
        QuicClientConfig::try_from(config).map_err(|error| Error::General(error.to_string()))
    }

    fn verifier(&self, admit: Admit) -> Arc<Verifier> {
        Arc::new(Verifier {
            provider: self.provider.clone(),
            admit,
        })
    }
}

/// Who is at the other end of a completed handshake, and the protocol agreed on.
pub(super) fn authenticated(
    connection: &quinn::Connection,
) -> Option<(AuthenticatedPeer, Vec<u8>)> {
    let chain = connection
        .peer_identity()?
        .downcast::<Vec<CertificateDer<'static>>>()
        .ok()?;
    let key = key_of(chain.first()?)?;
    let data = connection
        .handshake_data()?
        .downcast::<HandshakeData>()
        .ok()?;
    Some((AuthenticatedPeer::assertion(key), data.protocol?))
}

fn key_of(spki: &CertificateDer<'_>) -> Option<PeerId> {
    let key = spki.as_ref().strip_prefix(SPKI_PREFIX.as_slice())?;
    Some(PeerId::from_bytes(key.try_into().ok()?))
}

#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    admit: Admit,
}

impl Verifier {
    fn check(&self, spki: &CertificateDer<'_>) -> Result<(), Error> {
        match key_of(spki) {
            Some(key) if self.admit.admits(&key) => Ok(()),
            _ => Err(Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            )),
        }
    }

    fn check_signature(
        &self,
        message: &[u8],
        spki: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature_with_raw_key(
            message,
            &SubjectPublicKeyInfoDer::from(spki.as_ref()),
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity)
            .map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only tls 1.3 is spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity)
            .map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only tls 1.3 is spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_from_its_own_certificate_only() {
        let key = NodeKey::from_seed([4; 32]);
        let identity = Identity::new(&key).unwrap();
        assert_eq!(key_of(&identity.certified.cert[0]), Some(key.public()));
        assert_eq!(key_of(&CertificateDer::from(vec![0; 44])), None);
        assert_eq!(key_of(&CertificateDer::from(vec![])), None);
    }

    #[test]
    fn the_hybrid_key_exchange_is_the_only_one_offered() {
        let identity = Identity::new(&NodeKey::from_seed([4; 32])).unwrap();
        let groups: Vec<_> = identity
            .provider
            .kx_groups
            .iter()
            .map(|group| group.name())
            .collect();
        assert_eq!(groups, [rustls::NamedGroup::X25519MLKEM768]);
    }
}
