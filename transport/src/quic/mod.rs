//! Sockets: the only folder that names quinn, rustls and tokio's network.
//!
//! `tls` proves keys, `endpoint` binds, dials and accepts, `driver` pumps one session over its streams,
//! `join` redeems invitations. Nothing here decides what is said: that is `session`.

mod budget;
mod contest;
mod delivery;
mod driver;
mod endpoint;
mod join;
mod pace;
mod pressure;
mod registry;
mod repair;
mod streams;
mod tls;

pub use budget::Limits;
pub use endpoint::{BindFailed, Endpoint};
pub use join::JoinFailed;
