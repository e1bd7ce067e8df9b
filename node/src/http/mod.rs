//! The HTTP edge: the JSON API, the pages, and nothing of their own.
//!
//! Every route stands on this one screen. Handlers turn a request into one call of the engine and
//! its result into JSON or a page; formats live here, rules do not. The same routes are served to
//! the network, where a token or a session is needed, and to the local socket, whose file mode
//! is the credential.

mod api;
mod body;
mod guard;
mod json;
#[cfg(any(test, feature = "testing"))]
mod made;
mod moment;
mod paced;
mod permit;
mod problem;
mod serve;
mod session;
#[cfg(test)]
mod tests;
mod tls;
mod tries;
mod web;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{delete, get, post};

use crate::clock::{Clock, Entropy, SystemClock, SystemEntropy};
use crate::engine::Engine;

#[cfg(any(test, feature = "testing"))]
pub use made::{MadePair, made_pair};
pub use serve::{AddressRefused, access_for, serve, serve_unix};
pub use tls::{Certificate, CertificateRefused};

/// Largest JSON body accepted, in bytes; also the longest line of an import.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// Largest form accepted, in bytes.
const FORM_BYTES_MAX: usize = 16 << 10;

/// Where requests come from, and so what proves who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// TCP: a token or a session is needed.
    Network {
        /// The browser reaches this node over TLS, its own or a proxy's: cookies never travel in the clear.
        secure_cookies: bool,
        /// A proxy on this machine asks for others, and says for whom.
        behind_proxy: bool,
    },
    /// The socket in the data folder, or a command on a node that does not run.
    LocalSocket {
        /// Name of the operating system's user, shown as the operator of changes.
        user: String,
    },
}

#[derive(Debug)]
pub(crate) struct Shared {
    engine: Engine,
    access: Access,
    cookie: String,
    sessions: session::Sessions,
    failures: session::Failures,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Shared {
    fn is_secure(&self) -> bool {
        matches!(
            self.access,
            Access::Network {
                secure_cookies: true,
                ..
            }
        )
    }
}

/// The node's whole HTTP surface over `engine`.
pub fn router(engine: Engine, access: Access) -> Router {
    router_with(
        engine,
        access,
        Arc::new(SystemClock::start()),
        Arc::new(SystemEntropy),
    )
}

fn router_with(
    engine: Engine,
    access: Access,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Router {
    let cookie = web::sign_in::cookie_name(&engine.status().id, &access);
    let (sessions, failures) = Default::default();
    let shared = Arc::new(Shared {
        engine,
        access,
        cookie,
        sessions,
        failures,
        clock,
        entropy,
    });

    Router::new()
        .nest("/api/v1", api(&shared))
        .merge(pages(&shared))
        .merge(open())
        .fallback(web::no_such_page)
        .layer(from_fn(problem::in_language))
        .layer(from_fn_with_state(Arc::clone(&shared), guard::headers))
        .with_state(shared)
}

/// For programs, the page's script and this machine's commands.
fn api(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    let mut api = Router::new()
        .route("/overview", get(api::overview::show))
        .route("/status", get(api::overview::status))
        .route("/events", get(api::events::stream))
        .route(
            "/import",
            post(api::exchange::import).layer(DefaultBodyLimit::disable()),
        )
        .route("/export", get(api::exchange::export))
        .route("/openapi.json", get(api::openapi::show))
        .route("/peers", get(api::peers::list))
        .route("/peers/pending", get(api::peers::pending))
        .route(
            "/peers/{id}/{verb}",
            get(api::peers::look).post(api::peers::act),
        )
        .route("/recovery", post(api::trust::recover))
        .route("/quarantine", get(api::trust::quarantine))
        .route("/quarantine/{id}", get(api::trust::quarantined))
        .route("/quarantine/{id}/{verb}", post(api::trust::decide))
        .route("/equivocations", get(api::trust::equivocations))
        .route("/audit", get(api::people::audit))
        .route("/audit/verify", get(api::people::verify))
        .route(
            "/emergency",
            get(api::people::emergencies).post(api::people::declare),
        )
        .route(
            "/erasures",
            get(api::trust::erasures).post(api::trust::erase_subject),
        )
        .route("/erasures/proposals", get(api::trust::proposals))
        .route("/erasures/{id}/certificate", get(api::trust::certificate))
        .route("/publish", post(api::subjects::publish))
        .route("/overlaps", get(api::subjects::overlaps))
        .route("/persons/{id}/duplicates", get(api::subjects::duplicates))
        .route("/persons/{id}/merge", post(api::subjects::merge))
        .route("/persons/{id}/offered", get(api::subjects::offered))
        .route(
            "/{kind}",
            get(api::records::list).post(api::records::create),
        )
        .route(
            "/{kind}/{id}",
            get(api::records::show)
                .patch(api::records::patch)
                .delete(api::trust::erase),
        )
        .route("/{kind}/{id}/history", get(api::records::history))
        .merge(transfers());
    if matches!(shared.access, Access::LocalSocket { .. }) {
        api = api
            .route("/local/invite", post(api::local::invite))
            .route("/local/join", post(api::local::join))
            .route(
                "/local/tokens",
                get(api::local::tokens).post(api::local::create_token),
            )
            .route("/local/tokens/{name}", delete(api::local::revoke_token))
            .route(
                "/local/users",
                get(api::people::accounts).post(api::people::add),
            )
            .route("/local/users/{name}/{verb}", post(api::people::act));
    }
    api.fallback(api::no_such_address)
        .method_not_allowed_fallback(api::no_such_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(Arc::clone(shared), guard::api))
}

/// What is done with offers of projects.
fn transfers() -> Router<Arc<Shared>> {
    Router::new()
        .route("/transfers/{id}/accept", post(api::transfers::accept))
        .route("/transfers/{id}/refuse", post(api::transfers::refuse))
        .route("/transfers/{id}/withdraw", post(api::transfers::withdraw))
}

/// For people who are signed in.
fn pages(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    Router::new()
        .route("/", get(web::home))
        .route("/guidelines", get(web::published::guidelines))
        .route("/organisations", get(web::published::organisations))
        .route("/records", get(web::projects::show))
        .route("/records/{id}", get(web::record::show))
        .route("/records/{id}/choose", post(web::record::choose))
        .route("/sign-out", post(web::sign_in::leave))
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(from_fn_with_state(Arc::clone(shared), guard::pages))
}

/// For everyone who reaches the address.
fn open() -> Router<Arc<Shared>> {
    Router::new()
        .route("/healthz", get(api::health::alive))
        .route("/readyz", get(api::health::ready))
        .route("/metrics", get(api::health::metrics))
        .route("/assets/{name}", get(web::assets::show))
        .route(
            "/sign-in",
            get(web::sign_in::show).post(web::sign_in::enter),
        )
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
}
