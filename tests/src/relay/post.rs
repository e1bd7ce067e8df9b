//! Holds datagrams back until they are due, and keeps the order of those due at once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

/// A datagram on its way.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) from: Arc<UdpSocket>,
    pub(super) to: SocketAddr,
    pub(super) datagram: Vec<u8>,
}

/// Takes letters and delivers each when it is due; ends when dropped.
#[derive(Debug)]
pub(super) struct Post {
    letters: UnboundedSender<(Instant, Letter)>,
    carrying: JoinHandle<()>,
}

impl Post {
    pub(super) fn open() -> Self {
        let (letters, arriving) = unbounded_channel();
        Self {
            letters,
            carrying: tokio::spawn(carry(arriving)),
        }
    }

    /// Sends at once, or lets the letter wait.
    pub(super) async fn send(&self, after: Duration, letter: Letter) {
        if after.is_zero() {
            letter.deliver().await;
        } else {
            // Refused only while the relay ends.
            drop(self.letters.send((Instant::now() + after, letter)));
        }
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

impl Letter {
    async fn deliver(self) {
        // Datagrams get lost: that is what they are.
        drop(self.from.send_to(&self.datagram, self.to).await);
    }
}

async fn carry(mut arriving: UnboundedReceiver<(Instant, Letter)>) {
    let mut waiting: BTreeMap<(Instant, u64), Letter> = BTreeMap::new();
    let mut number = 0;
    loop {
        while let Some(first) = waiting.first_entry()
            && first.key().0 <= Instant::now()
        {
            first.remove().deliver().await;
        }
        let next = match waiting.first_key_value() {
            None => arriving.recv().await,
            Some(((due, _), _)) => match timeout_at(*due, arriving.recv()).await {
                Ok(letter) => letter,
                Err(_) => continue,
            },
        };
        let Some((due, letter)) = next else { return };
        waiting.insert((due, number), letter);
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn letters_arrive_when_due_and_in_order_where_due_at_once() {
        let post = Post::open();
        let from = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let to = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = to.local_addr().unwrap();
        let letter = |datagram: &[u8]| Letter {
            from: Arc::clone(&from),
            to: address,
            datagram: datagram.to_vec(),
        };
        let started = Instant::now();
        post.send(Duration::from_millis(120), letter(b"last")).await;
        for number in 0..50 {
            post.send(Duration::from_millis(40), letter(&[number]))
                .await;
        }
        let mut buffer = [0; 16];
        for number in 0..50 {
            assert_eq!(to.recv(&mut buffer).await.unwrap(), 1);
            assert_eq!(buffer[0], number);
        }
        assert!(started.elapsed() >= Duration::from_millis(40));
        assert_eq!(to.recv(&mut buffer).await.unwrap(), 4);
        assert!(started.elapsed() >= Duration::from_millis(120));
    }
}
