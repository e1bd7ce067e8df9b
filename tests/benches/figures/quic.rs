//! The network alone: bare QUIC round trips on loopback, and a relay that makes the way longer.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{
    CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme};
use tokio::net::UdpSocket;

use super::stopwatch::{Spread, Stopwatch};

/// Bytes asked and answered: about a live edit and its acknowledgement.
const ASKED: usize = 280;
const ANSWERED: usize = 40;
/// DER around an Ed25519 seed (RFC 8410) and around the public key.
const PKCS8: [u8; 16] = [
    0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
];
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// Milliseconds of question and answer on one open stream, one after the other.
pub(crate) async fn round_trips_ms(count: usize) -> anyhow::Result<Spread> {
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server =
        quinn::Endpoint::server(quinn::ServerConfig::with_crypto(Arc::new(server()?)), free)?;
    let address = server.local_addr()?;
    let answering = tokio::spawn(async move {
        let connection = server.accept().await.context("somebody dials")?.await?;
        let (mut out, mut asked) = connection.accept_bi().await?;
        let mut question = [0; ASKED];
        while asked.read_exact(&mut question).await.is_ok() {
            out.write_all(&[1; ANSWERED]).await?;
        }
        anyhow::Ok(())
    });
    let endpoint = quinn::Endpoint::client(free)?;
    let config = quinn::ClientConfig::new(Arc::new(client()?));
    let connection = endpoint.connect_with(config, address, "figures")?.await?;
    let (mut out, mut answers) = connection.open_bi().await?;
    let mut taken = Vec::with_capacity(count);
    for _ in 0..count {
        let watch = Stopwatch::start();
        out.write_all(&[2; ASKED]).await?;
        answers.read_exact(&mut [0; ANSWERED]).await?;
        taken.push(watch.millis());
    }
    out.finish()?;
    connection.close(0_u32.into(), b"");
    answering.await??;
    Ok(Spread::of(taken))
}

fn server() -> anyhow::Result<QuicServerConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let seed = [9; 32];
    let public = raccordo_transport::NodeKey::from_seed(seed).public();
    let private = PrivatePkcs8KeyDer::from([PKCS8.as_slice(), &seed].concat());
    let signer = provider.key_provider.load_private_key(private.into())?;
    let spki = CertificateDer::from([SPKI.as_slice(), public.as_bytes()].concat());
    let certified = Arc::new(CertifiedKey::new(vec![spki], signer));
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified)));
    Ok(QuicServerConfig::try_from(config)?)
}

fn client() -> anyhow::Result<QuicClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone { provider }))
        .with_no_client_auth();
    Ok(QuicClientConfig::try_from(config)?)
}

/// Takes whoever answers on this machine.
#[derive(Debug)]
struct Anyone {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("only tls 1.3 is spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let key = SubjectPublicKeyInfoDer::from(cert.as_ref());
        verify_tls13_signature_with_raw_key(
            message,
            &key,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// A relay that holds every datagram back for a while.
#[derive(Debug)]
pub(crate) struct Delay {
    address: SocketAddr,
    one_way_ms: Arc<AtomicU32>,
    carrying: tokio::task::JoinHandle<()>,
}

impl Delay {
    /// A relay to this address; without delay at first.
    pub(crate) async fn open(target: SocketAddr) -> anyhow::Result<Self> {
        let front = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?);
        let address = front.local_addr()?;
        let one_way_ms = Arc::new(AtomicU32::new(0));
        let carrying = tokio::spawn(carry(front, target, Arc::clone(&one_way_ms)));
        Ok(Self {
            address,
            one_way_ms,
            carrying,
        })
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Delays each datagram by so many milliseconds from now on.
    pub(crate) fn set(&self, one_way_ms: u32) {
        self.one_way_ms.store(one_way_ms, Ordering::Relaxed);
    }
}

impl Drop for Delay {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

async fn carry(front: Arc<UdpSocket>, target: SocketAddr, one_way_ms: Arc<AtomicU32>) {
    let ways: Mutex<BTreeMap<SocketAddr, Arc<UdpSocket>>> = Mutex::default();
    let mut datagram = vec![0; 1 << 16];
    loop {
        let Ok((length, dialler)) = front.recv_from(&mut datagram).await else {
            continue;
        };
        let known = ways
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&dialler)
            .cloned();
        let back = match known {
            Some(back) => back,
            None => {
                let Ok(back) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await else {
                    continue;
                };
                let back = Arc::new(back);
                ways.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(dialler, Arc::clone(&back));
                tokio::spawn(carry_back(
                    Arc::clone(&back),
                    Arc::clone(&front),
                    dialler,
                    Arc::clone(&one_way_ms),
                ));
                back
            }
        };
        later(&one_way_ms, back, datagram[..length].to_vec(), target).await;
    }
}

async fn carry_back(
    back: Arc<UdpSocket>,
    front: Arc<UdpSocket>,
    dialler: SocketAddr,
    one_way_ms: Arc<AtomicU32>,
) {
    let mut datagram = vec![0; 1 << 16];
    loop {
        let Ok((length, _)) = back.recv_from(&mut datagram).await else {
            continue;
        };
        later(
            &one_way_ms,
            Arc::clone(&front),
            datagram[..length].to_vec(),
            dialler,
        )
        .await;
    }
}

/// Sends after the delay; without one at once, and in order. Lost datagrams are the protocol's affair.
async fn later(one_way_ms: &AtomicU32, socket: Arc<UdpSocket>, datagram: Vec<u8>, to: SocketAddr) {
    let delay = one_way_ms.load(Ordering::Relaxed);
    if delay == 0 {
        drop(socket.send_to(&datagram, to).await);
        return;
    }
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(delay.into())).await;
        drop(socket.send_to(&datagram, to).await);
    });
}
