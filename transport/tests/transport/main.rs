//! The crate from outside: bytes, pairs of sessions on virtual time, real sockets.

#[cfg(test)]
mod bytes;
#[cfg(test)]
mod loopback;
#[cfg(test)]
mod pair;
#[cfg(test)]
mod parcel;
#[cfg(test)]
mod reconcile;
#[cfg(test)]
mod session_pair;
#[cfg(test)]
mod support;
