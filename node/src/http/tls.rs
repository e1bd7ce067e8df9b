//! HTTPS: certificate and key of the pages and the API, and the handshakes of those who come.
//!
//! Guarantees TLS 1.3 alone and HTTP/1.1 inside it; that nobody holds up others by a handshake: each
//! ends within seconds, and the open ones are bounded in all and by address; that a certificate is
//! replaced whole or not at all. Does not know who may do what.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::serve::Listener;
use raccordo_config::Http;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{InconsistentKeys, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use zeroize::Zeroizing;

/// Longest certificate or key file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// How long a handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Handshakes under way at most; more wait in the system's queue.
const HANDSHAKES_MAX: usize = 256;
/// Handshakes under way from one address at most; more are closed.
const HANDSHAKES_OF_ONE_MAX: usize = 32;
/// Permission bits that let others than the owner at a file.
const OTHERS: u32 = 0o077;

/// Why HTTPS cannot be served with a certificate and a key.
#[derive(Debug, thiserror::Error)]
pub enum CertificateRefused {
    /// A file cannot be read.
    #[error("{} cannot be read ({source}): correct the path or its permissions", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Whether it is the key's.
        is_key: bool,
        /// What the system said.
        source: io::Error,
    },
    /// A file is far too long for what it is to hold.
    #[error("{} is longer than {FILE_BYTES_MAX} bytes: name a PEM file", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Whether it is the key's.
        is_key: bool,
    },
    /// Others than its owner may use the key's file.
    #[error("{} has mode {mode:04o}, others could read the key: chmod go-rwx {}", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// No certificate that can be used stands in the file.
    #[error("{} holds no usable certificate in PEM ({reason}): put the server's own there, those that signed it after it", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// No private key that can be used stands in the file.
    #[error("{} holds no usable private key in PEM ({reason}): put it there without a password", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The two do not belong together.
    #[error("{} is not the key of the certificate in {}: put the key there that it was issued for", key.display(), cert.display())]
    Mismatch {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
}

impl CertificateRefused {
    /// The key of `[http]` that is to be looked at.
    pub fn concerns(&self) -> &'static str {
        match self {
            Self::Unreadable { is_key, .. } | Self::TooLong { is_key, .. } => {
                if *is_key {
                    "key"
                } else {
                    "cert"
                }
            }
            Self::NoCertificate { .. } => "cert",
            Self::Exposed { .. } | Self::NoKey { .. } | Self::Mismatch { .. } => "key",
        }
    }
}

/// The certificate in force; clones share it.
#[derive(Debug, Clone)]
pub struct Certificate(Arc<RwLock<Arc<ServerConfig>>>);

impl Certificate {
    /// Reads the pair that the configuration names; none where it names none.
    pub fn load(http: &Http) -> Result<Option<Self>, CertificateRefused> {
        let (Some(cert), Some(key)) = (&http.cert, &http.key) else {
            return Ok(None);
        };
        let config = read(cert, key)?;
        Ok(Some(Self(Arc::new(RwLock::new(Arc::new(config))))))
    }

    /// Serves those who come from now on with another; who is connected stays.
    pub fn replace(&self, other: &Self) {
        let config = other.current();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = config;
    }

    fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn read(cert: &Path, key: &Path) -> Result<ServerConfig, CertificateRefused> {
    let no_certificate = |reason: String| CertificateRefused::NoCertificate {
        path: cert.to_owned(),
        reason,
    };
    let no_key = |reason: String| CertificateRefused::NoKey {
        path: key.to_owned(),
        reason,
    };
    let pem = bytes(cert, false)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.map_err(|failed| no_certificate(failed.to_string()))?;
    if chain.is_empty() {
        return Err(no_certificate("no BEGIN CERTIFICATE".to_owned()));
    }
    let pem = bytes(key, true)?;
    let der = PrivateKeyDer::from_pem_slice(&pem).map_err(|failed| no_key(failed.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let signer = provider.key_provider.load_private_key(der);
    let certified = CertifiedKey::new(chain, signer.map_err(|failed| no_key(failed.to_string()))?);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
        Err(rustls::Error::InconsistentKeys(_)) => {
            return Err(CertificateRefused::Mismatch {
                cert: cert.to_owned(),
                key: key.to_owned(),
            });
        }
        Err(failed) => return Err(no_certificate(failed.to_string())),
    }
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider speaks TLS 1.3")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn bytes(path: &Path, is_key: bool) -> Result<Zeroizing<Vec<u8>>, CertificateRefused> {
    let unreadable = |source| CertificateRefused::Unreadable {
        path: path.to_owned(),
        is_key,
        source,
    };
    let mut file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o7777;
    if is_key && mode & OTHERS != 0 {
        return Err(CertificateRefused::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    let mut bytes = Zeroizing::new(Vec::new());
    let mut limited = (&mut file).take(FILE_BYTES_MAX + 1);
    limited.read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(CertificateRefused::TooLong {
            path: path.to_owned(),
            is_key,
        });
    }
    Ok(bytes)
}

/// A TCP listener that hands out connections once they are encrypted.
#[derive(Debug)]
pub(crate) struct TlsListener {
    tcp: TcpListener,
    certificate: Certificate,
    /// Handshakes under way; they end with the listener.
    handshakes: JoinSet<Option<(TlsStream<TcpStream>, SocketAddr)>>,
    /// By address, as many clones as it has handshakes under way, and one.
    under_way: BTreeMap<IpAddr, Arc<()>>,
}

impl TlsListener {
    pub(crate) fn new(tcp: TcpListener, certificate: Certificate) -> Self {
        Self {
            tcp,
            certificate,
            handshakes: JoinSet::new(),
            under_way: BTreeMap::new(),
        }
    }

    fn begin(&mut self, stream: TcpStream, address: SocketAddr) {
        self.under_way.retain(|_, held| Arc::strong_count(held) > 1);
        let held = self.under_way.entry(address.ip()).or_default();
        if Arc::strong_count(held) > HANDSHAKES_OF_ONE_MAX {
            tracing::debug!(%address, "too many handshakes at once from one address");
            return;
        }
        let held = Arc::clone(held);
        let acceptor = TlsAcceptor::from(self.certificate.current());
        self.handshakes.spawn(async move {
            let done = tokio::time::timeout(HANDSHAKE_MAX, acceptor.accept(stream)).await;
            drop(held);
            match done {
                Ok(Ok(stream)) => Some((stream, address)),
                Ok(Err(failed)) => {
                    tracing::debug!(%address, error = %failed, "no TLS was agreed on");
                    None
                }
                Err(_) => {
                    tracing::debug!(%address, "a handshake took too long");
                    None
                }
            }
        });
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let has_room = self.handshakes.len() < HANDSHAKES_MAX;
            tokio::select! {
                (stream, address) = Listener::accept(&mut self.tcp), if has_room => {
                    self.begin(stream, address);
                }
                Some(done) = self.handshakes.join_next() => {
                    if let Ok(Some(connection)) = done {
                        return connection;
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct Files {
        folder: tempfile::TempDir,
        http: Http,
    }

    impl Files {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let http = Http {
                address: SocketAddr::from(([127, 0, 0, 1], 0)),
                cert: Some(folder.path().join("cert.pem")),
                key: Some(folder.path().join("key.pem")),
                behind_proxy: false,
            };
            Self { folder, http }
        }

        fn write(&self, name: &str, text: &str, mode: u32) {
            let path = self.folder.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }

        fn refused(&self) -> (&'static str, String) {
            let refused = Certificate::load(&self.http).unwrap_err();
            (refused.concerns(), refused.to_string())
        }
    }

    fn pair() -> (String, String) {
        let made = crate::http::made_pair();
        (made.cert, made.key)
    }

    #[test]
    fn a_pair_that_cannot_serve_is_refused_with_what_is_to_be_done() {
        let files = Files::new();
        let ((cert, key), (_, other)) = (pair(), pair());
        assert_eq!(files.refused().0, "cert", "neither file is there");
        files.write("cert.pem", &cert, 0o644);
        assert_eq!(files.refused().0, "key");
        files.write("key.pem", &key, 0o640);
        let (concerns, said) = files.refused();
        assert!(
            concerns == "key" && said.contains("0640") && said.contains("chmod go-rwx"),
            "{said}"
        );
        files.write("key.pem", &other, 0o600);
        let (concerns, said) = files.refused();
        assert!(
            concerns == "key" && said.contains("not the key of the certificate"),
            "{said}"
        );
        files.write("key.pem", &cert, 0o600);
        let (concerns, said) = files.refused();
        assert!(
            concerns == "key" && said.contains("no usable private key"),
            "{said}"
        );
        files.write("key.pem", &key, 0o600);
        assert!(Certificate::load(&files.http).unwrap().is_some());
        for text in [
            "",
            "no PEM",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\nAAAA\n",
        ] {
            files.write("cert.pem", text, 0o644);
            let (concerns, said) = files.refused();
            assert!(
                concerns == "cert" && said.contains("no usable certificate"),
                "{text}: {said}"
            );
        }
        files.write("cert.pem", &"#".repeat((1 << 20) + 1), 0o644);
        assert!(files.refused().1.contains("longer than"));
    }

    #[tokio::test]
    async fn one_address_cannot_open_handshakes_without_bound_and_those_that_end_make_room() {
        let files = Files::new();
        let (cert, key) = pair();
        files.write("cert.pem", &cert, 0o644);
        files.write("key.pem", &key, 0o600);
        let certificate = Certificate::load(&files.http).unwrap().unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let mut listener = TlsListener::new(tcp, certificate);
        let mut silent = Vec::new();
        for _ in 0..=HANDSHAKES_OF_ONE_MAX {
            silent.push(TcpStream::connect(address).await.unwrap());
            let (stream, from) = Listener::accept(&mut listener.tcp).await;
            listener.begin(stream, from);
        }
        assert_eq!(listener.handshakes.len(), HANDSHAKES_OF_ONE_MAX);
        silent.clear();
        while listener.handshakes.join_next().await.is_some() {}
        let _again = TcpStream::connect(address).await.unwrap();
        let (stream, from) = Listener::accept(&mut listener.tcp).await;
        listener.begin(stream, from);
        assert_eq!(listener.handshakes.len(), 1);
    }
}
