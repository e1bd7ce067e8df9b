//! A network between two nodes that tests can cut: a UDP relay inside this process.
//!
//! Who dials the relay's address reaches the target, which may move. Either way can be cut and
//! healed at any time; large datagrams can be swallowed; the dialler's address can change as behind
//! a NAT that forgot it; weather comes from a seed. The relay counts what arrives, also while it is
//! cut.

mod post;
mod weather;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use post::{Letter, Post};

pub use weather::{Arrival, Way, Weather};

/// Largest datagram.
const DATAGRAM_BYTES_MAX: usize = 1 << 16;

/// A relay; it ends when dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    state: Arc<State>,
    front: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    front: Arc<UdpSocket>,
    target: Mutex<Option<SocketAddr>>,
    up: OneWay,
    down: OneWay,
    largest: AtomicUsize,
    weather: Mutex<Option<Weather>>,
    post: Post,
    flows: Mutex<BTreeMap<SocketAddr, Flow>>,
}

/// What is known of one way.
#[derive(Debug, Default)]
struct OneWay {
    cut: AtomicBool,
    arrived: AtomicU64,
    too_large: AtomicU64,
    /// Number of the next datagram in this weather.
    next: AtomicU64,
}

/// One dialler's way to the target.
#[derive(Debug)]
struct Flow {
    back: Arc<UdpSocket>,
    task: JoinHandle<()>,
}

impl Relay {
    /// A relay on a free port; it leads nowhere until [`Relay::lead_to`].
    pub async fn open() -> Self {
        Self::open_at(0).await.expect("a free port can be bound")
    }

    /// A relay on this port.
    pub async fn open_at(port: u16) -> std::io::Result<Self> {
        let front = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = front.local_addr().expect("a bound socket has an address");
        let state = Arc::new(State {
            front: Arc::new(front),
            target: Mutex::default(),
            up: OneWay::default(),
            down: OneWay::default(),
            largest: AtomicUsize::new(DATAGRAM_BYTES_MAX),
            weather: Mutex::default(),
            post: Post::open(),
            flows: Mutex::default(),
        });
        let front = tokio::spawn(carry_up(Arc::clone(&state)));
        Ok(Self {
            address,
            state,
            front,
        })
    }

    /// Where to dial.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads to this address from now on.
    pub fn lead_to(&self, target: SocketAddr) {
        *lock(&self.state.target) = Some(target);
    }

    /// Cuts both ways.
    pub fn cut(&self) {
        self.cut_up();
        self.cut_down();
    }

    /// Cuts the way to the target only.
    pub fn cut_up(&self) {
        self.state.up.cut.store(true, Ordering::Relaxed);
    }

    /// Cuts the way back only.
    pub fn cut_down(&self) {
        self.state.down.cut.store(true, Ordering::Relaxed);
    }

    /// Heals both ways.
    pub fn heal(&self) {
        self.state.up.cut.store(false, Ordering::Relaxed);
        self.state.down.cut.store(false, Ordering::Relaxed);
    }

    /// Lets the weather change; datagrams are counted anew.
    pub fn weather(&self, weather: Option<Weather>) {
        let mut current = lock(&self.state.weather);
        self.state.up.next.store(0, Ordering::Relaxed);
        self.state.down.next.store(0, Ordering::Relaxed);
        *current = weather;
    }

    /// Swallows datagrams of more bytes than this, both ways, as a narrow network does that sends no
    /// word of it.
    pub fn narrow(&self, bytes: usize) {
        self.state.largest.store(bytes, Ordering::Relaxed);
    }

    /// Gives every dialler another address in the target's eyes; what the target still sends to the
    /// old one is lost.
    pub async fn rebind(&self) {
        let diallers: Vec<SocketAddr> = lock(&self.state.flows).keys().copied().collect();
        for dialler in diallers {
            open_flow(&self.state, dialler).await;
        }
    }

    /// Datagrams that diallers have sent so far, carried or not.
    pub fn arrived(&self) -> u64 {
        self.state.up.arrived.load(Ordering::Relaxed)
    }

    /// Datagrams swallowed for their size so far, of both ways.
    pub fn too_large(&self) -> u64 {
        let of = |one_way: &OneWay| one_way.too_large.load(Ordering::Relaxed);
        of(&self.state.up) + of(&self.state.down)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.front.abort();
        for flow in lock(&self.state.flows).values() {
            flow.task.abort();
        }
    }
}

impl State {
    /// What becomes of one datagram: the copies that arrive.
    fn fate(&self, way: Way, bytes: usize) -> Vec<Arrival> {
        let one_way = match way {
            Way::Up => &self.up,
            Way::Down => &self.down,
        };
        one_way.arrived.fetch_add(1, Ordering::Relaxed);
        if bytes > self.largest.load(Ordering::Relaxed) {
            one_way.too_large.fetch_add(1, Ordering::Relaxed);
            return Vec::new();
        }
        if one_way.cut.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let weather = lock(&self.weather);
        match weather.as_ref() {
            None => vec![Arrival::PROMPT],
            Some(weather) => weather.fate(way, one_way.next.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

async fn carry_up(state: Arc<State>) {
    let mut datagram = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        // A refusal of an earlier datagram shows here; the next one may arrive.
        let Ok((length, dialler)) = state.front.recv_from(&mut datagram).await else {
            continue;
        };
        let arrivals = state.fate(Way::Up, length);
        let target = *lock(&state.target);
        let Some(target) = target else { continue };
        if arrivals.is_empty() {
            continue;
        }
        let back = match flow(&state, dialler) {
            Some(back) => back,
            None => open_flow(&state, dialler).await,
        };
        for arrival in arrivals {
            let letter = Letter {
                from: Arc::clone(&back),
                to: target,
                datagram: arrival.of(&datagram[..length]),
            };
            state.post.send(arrival.after, letter).await;
        }
    }
}

async fn carry_down(state: Arc<State>, back: Arc<UdpSocket>, dialler: SocketAddr) {
    let mut datagram = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let Ok((length, _)) = back.recv_from(&mut datagram).await else {
            continue;
        };
        for arrival in state.fate(Way::Down, length) {
            let letter = Letter {
                from: Arc::clone(&state.front),
                to: dialler,
                datagram: arrival.of(&datagram[..length]),
            };
            state.post.send(arrival.after, letter).await;
        }
    }
}

fn flow(state: &State, dialler: SocketAddr) -> Option<Arc<UdpSocket>> {
    lock(&state.flows)
        .get(&dialler)
        .map(|flow| Arc::clone(&flow.back))
}

/// A new address for a dialler; an older one is given up.
async fn open_flow(state: &Arc<State>, dialler: SocketAddr) -> Arc<UdpSocket> {
    let back = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a free port can be bound");
    let back = Arc::new(back);
    let task = tokio::spawn(carry_down(Arc::clone(state), Arc::clone(&back), dialler));
    let flow = Flow {
        back: Arc::clone(&back),
        task,
    };
    if let Some(older) = lock(&state.flows).insert(dialler, flow) {
        older.task.abort();
    }
    back
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::eventually::{eventually, never, seen};

    async fn pair() -> (Relay, UdpSocket, UdpSocket) {
        let relay = Relay::open().await;
        let target = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        relay.lead_to(target.local_addr().unwrap());
        let dialler = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        dialler.connect(relay.address()).await.unwrap();
        (relay, dialler, target)
    }

    #[tokio::test]
    async fn datagrams_go_both_ways_and_a_cut_stops_them() {
        let (relay, dialler, target) = pair().await;
        let mut buffer = [0; 16];
        dialler.send(b"up").await.unwrap();
        let (length, from) = target.recv_from(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..length], b"up");
        target.send_to(b"down", from).await.unwrap();
        assert_eq!(dialler.recv(&mut buffer).await.unwrap(), 4);
        relay.cut_up();
        dialler.send(b"lost").await.unwrap();
        eventually("the relay sees it", async || {
            seen(relay.arrived() == 2, || relay.arrived().to_string())
        })
        .await;
        never(
            Duration::from_millis(100),
            "it does not arrive",
            async || {
                seen(target.try_recv(&mut [0; 16]).is_err(), || {
                    "arrived".to_owned()
                })
            },
        )
        .await;
        target.send_to(b"down", from).await.unwrap();
        assert_eq!(dialler.recv(&mut buffer).await.unwrap(), 4);
        relay.heal();
        dialler.send(b"again").await.unwrap();
        assert_eq!(target.recv_from(&mut buffer).await.unwrap().0, 5);
    }

    #[tokio::test]
    async fn bad_weather_loses_and_repeats() {
        let (relay, dialler, target) = pair().await;
        relay.weather(Some(Weather {
            seed: 1,
            lost: 50,
            repeated: 20,
            delayed: 20,
            delay_ms: 5,
            ..Weather::default()
        }));
        for number in 0..200_u8 {
            dialler.send(&[number]).await.unwrap();
        }
        let mut arrived = Vec::new();
        let mut buffer = [0; 16];
        while let Ok(Ok(_)) =
            tokio::time::timeout(Duration::from_millis(200), target.recv(&mut buffer)).await
        {
            arrived.push(buffer[0]);
        }
        assert!((60..170).contains(&arrived.len()), "{}", arrived.len());
        let mut once = arrived.clone();
        once.sort_unstable();
        once.dedup();
        assert!(once.len() < arrived.len(), "something arrived twice");
    }

    #[tokio::test]
    async fn a_narrow_network_swallows_what_is_too_large() {
        let (relay, dialler, target) = pair().await;
        relay.narrow(4);
        dialler.send(b"large").await.unwrap();
        dialler.send(b"fits").await.unwrap();
        let mut buffer = [0; 16];
        let (length, from) = target.recv_from(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..length], b"fits");
        target.send_to(b"large", from).await.unwrap();
        target.send_to(b"fits", from).await.unwrap();
        assert_eq!(dialler.recv(&mut buffer).await.unwrap(), 4);
        assert_eq!(relay.too_large(), 2);
    }

    #[tokio::test]
    async fn a_dialler_has_another_address_after_a_rebind_and_the_old_one_is_dead() {
        let (relay, dialler, target) = pair().await;
        let mut buffer = [0; 16];
        dialler.send(b"before").await.unwrap();
        let (_, old) = target.recv_from(&mut buffer).await.unwrap();
        relay.rebind().await;
        target.send_to(b"lost", old).await.ok();
        dialler.send(b"after").await.unwrap();
        let (_, new) = target.recv_from(&mut buffer).await.unwrap();
        assert_ne!(old, new);
        target.send_to(b"answer", new).await.unwrap();
        assert_eq!(dialler.recv(&mut buffer).await.unwrap(), 6);
    }

    #[tokio::test]
    async fn latency_holds_every_datagram_back() {
        let (relay, dialler, target) = pair().await;
        relay.weather(Some(Weather {
            latency_ms: 200,
            ..Weather::default()
        }));
        dialler.send(b"slow").await.unwrap();
        let mut buffer = [0; 16];
        let early = Duration::from_millis(100);
        assert!(
            tokio::time::timeout(early, target.recv(&mut buffer))
                .await
                .is_err()
        );
        assert_eq!(target.recv(&mut buffer).await.unwrap(), 4);
    }
}
