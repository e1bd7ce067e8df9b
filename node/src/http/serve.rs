//! Listening: TCP for people and programs, the Unix socket for commands on this machine.
//!
//! Guarantees that ending never waits for an open event stream: streams are told first.

use std::future::Future;
use std::net::SocketAddr;

use axum::Extension;
use axum::Router;
use axum::extract::connect_info::{Connected, IntoMakeServiceWithConnectInfo};
use axum::serve::{IncomingStream, Listener};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::http::Access;
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
    })
}

/// Whom a request over the network comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller(pub(crate) SocketAddr);

impl Connected<IncomingStream<'_, TcpListener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// Serves over TCP, by HTTPS alone where there is a certificate, until `shutdown` completes and
/// the requests under way are answered.
pub async fn serve(
    listener: TcpListener,
    certificate: Option<Certificate>,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    match certificate {
        None => serve_from(listener, router, shutdown).await,
        Some(certificate) => {
            serve_from(TlsListener::new(listener, certificate), router, shutdown).await
        }
    }
}

async fn serve_from<L>(
    listener: L,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()>
where
    L: Listener,
    L::Addr: std::fmt::Debug,
    Caller: for<'a> Connected<IncomingStream<'a, L>>,
{
    let (router, ending) = with_closing(router, shutdown);
    let service: IntoMakeServiceWithConnectInfo<Router, Caller> =
        router.into_make_service_with_connect_info();
    axum::serve(listener, service)
        .with_graceful_shutdown(ending)
        .await
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
                secure_cookies: false
            })
        );
        assert_eq!(
            access_for(away, false, true),
            Ok(Access::Network {
                secure_cookies: true
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
                    secure_cookies: true
                }),
                "with a certificate every address is served by HTTPS"
            );
        }
    }
}
