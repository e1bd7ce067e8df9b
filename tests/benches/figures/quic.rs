//! The network alone: bare QUIC on loopback, with the program's own library and kind of keys.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
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

use super::stopwatch::{Spread, Stopwatch};

/// Bytes asked and answered: about a live edit and its acknowledgement.
const ASKED: usize = 280;
const ANSWERED: usize = 40;
/// DER around an Ed25519 seed (RFC 8410) and around the public key.
const PKCS8: [u8; 16] = [
    0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
];
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// What an answerer does between question and answer.
pub(crate) type Work = Arc<dyn Fn(usize) -> anyhow::Result<()> + Send + Sync>;

/// A connection with one open stream, on which questions are answered at once.
#[derive(Debug)]
pub(crate) struct Line {
    out: quinn::SendStream,
    answers: quinn::RecvStream,
    /// Kept, so that the connection lives.
    _ends: [quinn::Endpoint; 2],
    answering: tokio::task::JoinHandle<anyhow::Result<()>>,
}

impl Line {
    pub(crate) async fn open() -> anyhow::Result<Self> {
        let server = listening()?;
        let address = server.local_addr()?;
        let accepting = server.clone();
        let answering = tokio::spawn(async move {
            let connection = accepting.accept().await.context("somebody dials")?.await?;
            answer_all(&connection).await
        });
        let endpoint = dialling()?;
        let connection = endpoint.connect(address, "figures")?.await?;
        let (out, answers) = connection.open_bi().await?;
        Ok(Self {
            out,
            answers,
            _ends: [server, endpoint],
            answering,
        })
    }

    /// Milliseconds of questions and answers, one after the other, so long apart.
    pub(crate) async fn round_trips_ms(
        &mut self,
        count: usize,
        rest: Duration,
    ) -> anyhow::Result<Vec<f64>> {
        let mut taken = Vec::with_capacity(count);
        for _ in 0..count {
            if !rest.is_zero() {
                tokio::time::sleep(rest).await;
            }
            let watch = Stopwatch::start();
            self.out.write_all(&[2; ASKED]).await?;
            self.answers.read_exact(&mut [0; ANSWERED]).await?;
            taken.push(watch.millis());
        }
        Ok(taken)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.answering.abort();
    }
}

/// Milliseconds of a handshake and one question and answer, each on a connection of its own.
pub(crate) async fn connections_ms(count: usize) -> anyhow::Result<Spread> {
    let server = listening()?;
    let address = server.local_addr()?;
    let answering = tokio::spawn(async move {
        for _ in 0..count {
            let connection = server.accept().await.context("somebody dials")?.await?;
            answer_all(&connection).await?;
        }
        anyhow::Ok(server)
    });
    let mut taken = Vec::with_capacity(count);
    for _ in 0..count {
        let endpoint = dialling()?;
        let watch = Stopwatch::start();
        let connection = endpoint.connect(address, "figures")?.await?;
        let (mut out, mut answers) = connection.open_bi().await?;
        out.write_all(&[2; ASKED]).await?;
        answers.read_exact(&mut [0; ANSWERED]).await?;
        taken.push(watch.millis());
        out.finish()?;
        connection.close(0_u32.into(), b"");
    }
    answering.await??;
    Ok(Spread::of(taken))
}

/// Milliseconds until so many peers have each been asked, done their work and answered; each on an
/// open stream of its own, so many rounds, so long apart.
pub(crate) async fn fan_out_ms(
    peers: usize,
    rounds: usize,
    rest: Duration,
    work: Work,
) -> anyhow::Result<Spread> {
    let server = listening()?;
    let address = server.local_addr()?;
    let mut endpoints = Vec::with_capacity(peers);
    let mut streams = Vec::with_capacity(peers);
    for peer in 0..peers {
        let endpoint = dialling()?;
        let connecting = endpoint.connect(address, "figures")?;
        let accepted = async { anyhow::Ok(server.accept().await.context("dialled")?.await?) };
        let (asker, answerer) = tokio::try_join!(accepted, async { Ok(connecting.await?) })?;
        streams.push(asker.open_bi().await?);
        tokio::spawn(work_and_answer(answerer, peer, Arc::clone(&work)));
        endpoints.push((endpoint, asker));
    }
    let mut taken = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        tokio::time::sleep(rest).await;
        let watch = Stopwatch::start();
        for (out, _) in &mut streams {
            out.write_all(&[2; ASKED]).await?;
        }
        for (_, answers) in &mut streams {
            answers.read_exact(&mut [0; ANSWERED]).await?;
        }
        taken.push(watch.millis());
    }
    drop(endpoints);
    Ok(Spread::of(taken))
}

/// Answers each question on the peer's first stream until that ends.
async fn answer_all(connection: &quinn::Connection) -> anyhow::Result<()> {
    let (mut out, mut asked) = connection.accept_bi().await?;
    let mut question = [0; ASKED];
    while asked.read_exact(&mut question).await.is_ok() {
        out.write_all(&[1; ANSWERED]).await?;
    }
    Ok(())
}

async fn work_and_answer(
    connection: quinn::Connection,
    peer: usize,
    work: Work,
) -> anyhow::Result<()> {
    let (mut out, mut asked) = connection.accept_bi().await?;
    let mut question = [0; ASKED];
    while asked.read_exact(&mut question).await.is_ok() {
        let work = Arc::clone(&work);
        tokio::task::spawn_blocking(move || work(peer)).await??;
        out.write_all(&[1; ANSWERED]).await?;
    }
    Ok(())
}

fn listening() -> anyhow::Result<quinn::Endpoint> {
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = quinn::ServerConfig::with_crypto(Arc::new(server()?));
    Ok(quinn::Endpoint::server(config, free)?)
}

fn dialling() -> anyhow::Result<quinn::Endpoint> {
    let mut endpoint = quinn::Endpoint::client(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(client()?)));
    Ok(endpoint)
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
