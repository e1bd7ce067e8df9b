//! Listening: TCP for people and programs, the Unix socket for commands on this machine.
//!
//! Guarantees that ending never waits for an open event stream: streams are told first.

use std::future::Future;
use std::net::SocketAddr;

use axum::Extension;
use axum::Router;
use axum::extract::connect_info::IntoMakeServiceWithConnectInfo;
use tokio::sync::watch;

use crate::http::Access;

/// Why the pages may not be served at an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressRefused {
    /// The node does not terminate TLS itself.
    #[error(
        "[http] cert and key are not supported yet: let a proxy on this machine end TLS, set behind_proxy = true and remove both"
    )]
    CertificateNotSupported,
    /// Tokens and records would travel in the clear.
    #[error(
        "[http] address {address} is not a loopback address and would serve records without TLS: use 127.0.0.1, or set behind_proxy = true where a proxy ends TLS"
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
    if has_certificate {
        return Err(AddressRefused::CertificateNotSupported);
    }
    if !behind_proxy && !address.ip().is_loopback() {
        return Err(AddressRefused::NotLoopback { address });
    }
    Ok(Access::Network {
        secure_cookies: behind_proxy,
    })
}

/// Serves over TCP until `shutdown` completes and the requests under way are answered.
pub async fn serve(
    listener: tokio::net::TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let (router, ending) = with_closing(router, shutdown);
    let service: IntoMakeServiceWithConnectInfo<Router, SocketAddr> =
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
        assert_eq!(
            access_for(home, true, false),
            Err(AddressRefused::CertificateNotSupported)
        );
    }
}
