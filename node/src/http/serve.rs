//! Listening: TCP for people and programs, the Unix socket for commands on this machine.
//!
//! Guarantees that ending never waits for an open event stream: streams are told first. That
//! connections are bounded, in all and by address, and that one on which nothing
//! is asked, or whose request stands still half-way, ends.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::serve::Listener;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use crate::http::Access;
use crate::http::paced::Paced;
use crate::http::tls::{Certificate, TlsListener};

/// Why the pages may not be served at an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressRefused {
    /// Tokens and records would travel in the clear.
    #[error(
        "[http] address {address} is not a loopback address and would serve records without TLS: set cert and key, or behind_proxy = true where a proxy ends TLS, or use 127.0.0.1"
    )]
    NotLoopback {
        /// The address configured.
        address: SocketAddr,
    },
}

/// What serving at `address` means, or why it is refused.
pub fn access_for(
    address: SocketAddr,
    has_certificate: bool,
    behind_proxy: bool,
) -> Result<Access, AddressRefused> {
    let encrypted = has_certificate || behind_proxy;
    if !encrypted && !address.ip().is_loopback() {
        return Err(AddressRefused::NotLoopback { address });
    }
    Ok(Access::Network {
        secure_cookies: encrypted,
        behind_proxy,
    })
}

/// Whom a request over the network comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller(pub(crate) SocketAddr);

/// What connections may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Connections at most; more wait in the system's queue.
    pub(crate) all: usize,
    /// Connections from one address at most, but from this machine, where a proxy may speak for all.
    pub(crate) of_one: usize,
    /// How long the head of a request may take to come, the first or the next.
    pub(crate) head: Duration,
    /// How long a request's body may stand still.
    pub(crate) pause: Duration,
}

const BOUNDS: Bounds = Bounds {
    all: 1_024,
    of_one: 256,
    head: Duration::from_mins(1),
    pause: Duration::from_mins(1),
};

/// Serves over TCP, by HTTPS alone where there is a certificate, until `shutdown` completes and
/// the requests under way are answered.
pub async fn serve(
    listener: TcpListener,
    certificate: Option<Certificate>,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    match certificate {
        None => serve_from(listener, router, shutdown, BOUNDS).await,
        Some(certificate) => {
            let listener = TlsListener::new(listener, certificate);
            serve_from(listener, router, shutdown, BOUNDS).await;
        }
    }
}

/// As [`serve`], within these bounds.
pub(crate) async fn serve_from<L>(
    mut listener: L,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
    bounds: Bounds,
) where
    L: Listener<Addr = SocketAddr>,
{
    let (router, ending) = with_closing(router, shutdown);
    let mut ending = pin!(ending);
    let (stop, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    // By address, as many clones as it has connections, and one.
    let mut from: BTreeMap<IpAddr, Arc<()>> = BTreeMap::new();
    loop {
        let has_room = connections.len() < bounds.all;
        let (io, address) = tokio::select! {
            () = &mut ending => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept(), if has_room => accepted,
        };
        from.retain(|_, held| Arc::strong_count(held) > 1);
        let held = from.entry(address.ip()).or_default();
        if Arc::strong_count(held) > bounds.of_one && !address.ip().is_loopback() {
            tracing::debug!(%address, "too many connections at once from one address");
            continue;
        }
        let held = Arc::clone(held);
        let one = connection(io, address, router.clone(), stopped.clone(), bounds);
        connections.spawn(async move {
            one.await;
            drop(held);
        });
    }
    drop(listener);
    stop.send_replace(true);
    while connections.join_next().await.is_some() {}
}

/// Answers one connection until it ends or the server does.
async fn connection<I>(
    io: I,
    address: SocketAddr,
    router: Router,
    mut stopped: watch::Receiver<bool>,
    bounds: Bounds,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        request
            .extensions_mut()
            .insert(ConnectInfo(Caller(address)));
        router
            .clone()
            .oneshot(request.map(|body| Body::new(Paced::new(body, bounds.pause))))
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head)
        .serve_connection(TokioIo::new(io), service);
    let mut serving = pin!(serving);
    let ended = tokio::select! {
        ended = &mut serving => Some(ended),
        () = async { drop(stopped.wait_for(|stopped| *stopped).await) } => None,
    };
    let ended = if let Some(ended) = ended {
        ended
    } else {
        serving.as_mut().graceful_shutdown();
        serving.await
    };
    if let Err(failed) = ended {
        tracing::debug!(%address, error = %failed, "a connection ended");
    }
}

/// Serves over a Unix socket until `shutdown` completes and the requests under way are answered.
pub async fn serve_unix(
    listener: tokio::net::UnixListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let (router, ending) = with_closing(router, shutdown);
    axum::serve(listener, router.into_make_service())
        .with_graceful_shutdown(ending)
        .await
}

/// Becomes true when the server ends.
#[derive(Debug, Clone)]
pub(crate) struct Closing(pub(crate) watch::Receiver<bool>);

impl Closing {
    /// Completes when the server ends.
    pub(crate) async fn wait(mut self) {
        // A sender that is gone means the same: nobody serves any more.
        if self.0.wait_for(|closing| *closing).await.is_err() {
            tracing::trace!("the server is gone");
        }
    }
}

fn with_closing(
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> (Router, impl Future<Output = ()> + Send + 'static) {
    let (sender, receiver) = watch::channel(false);
    let ending = async move {
        shutdown.await;
        sender.send_replace(true);
        // Kept until the server is done, or waiting streams would take its end for a failure.
        drop(sender);
    };
    (
        router.layer(Extension::<Closing>(Closing(receiver))),
        ending,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_served_in_the_clear_on_loopback_only() {
        let home: SocketAddr = "127.0.0.1:8080".parse().unwrap();
        let away: SocketAddr = "0.0.0.0:8080".parse().unwrap();
        assert_eq!(
            access_for(home, false, false),
            Ok(Access::Network {
                secure_cookies: false,
                behind_proxy: false
            })
        );
        assert_eq!(
            access_for(away, false, true),
            Ok(Access::Network {
                secure_cookies: true,
                behind_proxy: true
            })
        );
        assert_eq!(
            access_for(away, false, false),
            Err(AddressRefused::NotLoopback { address: away })
        );
        for address in [home, away] {
            assert_eq!(
                access_for(address, true, false),
                Ok(Access::Network {
                    secure_cookies: true,
                    behind_proxy: false
                }),
                "with a certificate every address is served by HTTPS"
            );
        }
    }
}
