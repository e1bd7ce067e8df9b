//! A network between two nodes that tests can cut: a UDP relay inside this process.
//!
//! Who dials the relay's address reaches the target, which may move. Either way can be cut and
//! healed at any time; weather (loss, delay, repetition) comes from a seed. The relay counts what
//! arrives, also while it is cut.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use crate::chance::Chance;
use crate::eventually::moment;

/// Largest datagram.
const DATAGRAM_BYTES_MAX: usize = 1 << 16;

/// What the network does to each datagram; shares in percent.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    /// Chance is made from it.
    pub seed: u64,
    /// Lost.
    pub lost: u64,
    /// Arriving twice.
    pub repeated: u64,
    /// Arriving late, and so out of order.
    pub delayed: u64,
    /// Longest delay, in milliseconds.
    pub delay_ms: u64,
}

/// A relay; it ends when dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    state: Arc<State>,
    front: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    front: UdpSocket,
    target: Mutex<Option<SocketAddr>>,
    cut_up: AtomicBool,
    cut_down: AtomicBool,
    arrived_up: AtomicU64,
    weather: Mutex<Option<(Weather, Chance)>>,
    flows: Mutex<BTreeMap<SocketAddr, Flow>>,
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
        let front = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port can be bound");
        let address = front.local_addr().expect("a bound socket has an address");
        let state = Arc::new(State {
            front,
            target: Mutex::default(),
            cut_up: AtomicBool::default(),
            cut_down: AtomicBool::default(),
            arrived_up: AtomicU64::default(),
            weather: Mutex::default(),
            flows: Mutex::default(),
        });
        let front = tokio::spawn(carry_up(Arc::clone(&state)));
        Self {
            address,
            state,
            front,
        }
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
        self.state.cut_up.store(true, Ordering::Relaxed);
    }

    /// Cuts the way back only.
    pub fn cut_down(&self) {
        self.state.cut_down.store(true, Ordering::Relaxed);
    }

    /// Heals both ways.
    pub fn heal(&self) {
        self.state.cut_up.store(false, Ordering::Relaxed);
        self.state.cut_down.store(false, Ordering::Relaxed);
    }

    /// Lets the weather change.
    pub fn weather(&self, weather: Option<Weather>) {
        *lock(&self.state.weather) = weather.map(|weather| (weather, Chance::new(weather.seed)));
    }

    /// Datagrams that diallers have sent so far, carried or not.
    pub fn arrived(&self) -> u64 {
        self.state.arrived_up.load(Ordering::Relaxed)
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

async fn carry_up(state: Arc<State>) {
    let mut datagram = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        // A refusal of an earlier datagram shows here; the next one may arrive.
        let Ok((length, dialler)) = state.front.recv_from(&mut datagram).await else {
            continue;
        };
        state.arrived_up.fetch_add(1, Ordering::Relaxed);
        let target = *lock(&state.target);
        let Some(target) = target else { continue };
        if state.cut_up.load(Ordering::Relaxed) {
            continue;
        }
        let back = match flow(&state, dialler) {
            Some(back) => back,
            None => open_flow(&state, dialler).await,
        };
        for delay in fate(&state) {
            let (back, copy) = (Arc::clone(&back), datagram[..length].to_vec());
            deliver(
                delay,
                async move { back.send_to(&copy, target).await.is_ok() },
            )
            .await;
        }
    }
}

async fn carry_down(state: Arc<State>, back: Arc<UdpSocket>, dialler: SocketAddr) {
    let mut datagram = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let Ok((length, _)) = back.recv_from(&mut datagram).await else {
            continue;
        };
        if state.cut_down.load(Ordering::Relaxed) {
            continue;
        }
        for delay in fate(&state) {
            let (state, copy) = (Arc::clone(&state), datagram[..length].to_vec());
            deliver(delay, async move {
                state.front.send_to(&copy, dialler).await.is_ok()
            })
            .await;
        }
    }
}

fn flow(state: &State, dialler: SocketAddr) -> Option<Arc<UdpSocket>> {
    lock(&state.flows)
        .get(&dialler)
        .map(|flow| Arc::clone(&flow.back))
}

async fn open_flow(state: &Arc<State>, dialler: SocketAddr) -> Arc<UdpSocket> {
    let back = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a free port can be bound");
    let back = Arc::new(back);
    let task = tokio::spawn(carry_down(Arc::clone(state), Arc::clone(&back), dialler));
    lock(&state.flows).insert(
        dialler,
        Flow {
            back: Arc::clone(&back),
            task,
        },
    );
    back
}

/// What becomes of one datagram: a delay for each copy that arrives.
fn fate(state: &State) -> Vec<Duration> {
    let mut weather = lock(&state.weather);
    let Some((weather, chance)) = weather.as_mut() else {
        return vec![Duration::ZERO];
    };
    if chance.percent(weather.lost) {
        return Vec::new();
    }
    let copies = 1 + usize::from(chance.percent(weather.repeated));
    let mut delay = || {
        let late = chance.percent(weather.delayed);
        let delay_ms = if late {
            chance.between(0, weather.delay_ms)
        } else {
            0
        };
        Duration::from_millis(delay_ms)
    };
    (0..copies).map(|_| delay()).collect()
}

async fn deliver(delay: Duration, sending: impl Future<Output = bool> + Send + 'static) {
    if delay.is_zero() {
        // Datagrams get lost: that is what they are.
        sending.await;
    } else {
        tokio::spawn(async move {
            moment(delay).await;
            sending.await
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
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
}
