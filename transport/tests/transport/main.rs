//! The crate from outside: bytes, pairs of sessions on virtual time, real sockets.

#[cfg(test)]
mod bytes;
#[cfg(test)]
mod loopback;
#[cfg(test)]
mod nodes;
#[cfg(test)]
mod pacing;
#[cfg(test)]
mod pair;
#[cfg(test)]
mod parcel;
#[cfg(test)]
mod reconcile;
mod recovering;
#[cfg(test)]
mod relaying;
#[cfg(test)]
mod repair_loopback;
#[cfg(test)]
mod repair_pair;
#[cfg(test)]
mod schedules;
#[cfg(test)]
mod seen;
#[cfg(test)]
mod session_pair;
#[cfg(test)]
mod stopping;
#[cfg(test)]
mod support;
