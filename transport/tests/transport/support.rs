//! A node that keeps everything in memory: an author, logs, and what it holds of others.

use std::collections::BTreeMap;

use raccordo_transport::{
    Cursor, EntryHeader, EntryKind, HostFailed, LocalHello, LogId, NodeKey, Offer, PeerId,
    Positions, SignedEntry, Standing, VerifiedEntry, body_hash, sign,
};

/// Writes entries of one lane.
pub(crate) struct Author {
    pub(crate) key: NodeKey,
    pub(crate) log: LogId,
    pub(crate) entries: Vec<SignedEntry>,
}

impl Author {
    pub(crate) fn new(seed: u8, lane: u8) -> Self {
        let key = NodeKey::from_seed([seed; 32]);
        let log = LogId::new(key.public().origin(), lane);
        Self {
            key,
            log,
            entries: Vec::new(),
        }
    }

    pub(crate) fn head(&self) -> Cursor {
        cursor_at(self.log, &self.entries)
    }

    /// An entry that follows the last one, not yet kept.
    pub(crate) fn next(&self, body: Vec<u8>) -> SignedEntry {
        let seq = self.entries.len() as u64 + 1;
        let header = EntryHeader {
            lane: self.log.lane,
            origin: self.log.origin,
            incarnation: [0x1c; 8],
            seq,
            prev: self.head().hash,
            group_first: seq,
            group_count: 1,
            kind: EntryKind::Change,
            document: [0xd0; 16],
            document_kind: 1,
            body_hash: body_hash(EntryKind::Change, &body).unwrap(),
            policy_epoch: 3,
            hlc: (1_760_000_000_000 + seq) << 16,
        };
        sign(header, &self.key).with_body(body)
    }

    pub(crate) fn write(&mut self, body: Vec<u8>) {
        let entry = self.next(body);
        self.entries.push(entry);
    }

    pub(crate) fn write_many(&mut self, count: usize) {
        for _ in 0..count {
            self.write(body(self.entries.len() as u64, 164));
        }
    }
}

/// A body that does not compress, like a short change.
pub(crate) fn body(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect()
}

pub(crate) fn cursor_at(log: LogId, entries: &[SignedEntry]) -> Cursor {
    match entries.last() {
        Some(last) => Cursor {
            log,
            seq: last.header.seq,
            hash: last.entry_hash(),
        },
        None => Cursor::start(log),
    }
}

/// A node without disk: `store` makes durable what `deliver` took.
pub(crate) struct Memory {
    pub(crate) author: Author,
    pub(crate) incarnation: [u8; 8],
    pub(crate) role: u8,
    pub(crate) standing: BTreeMap<PeerId, Standing>,
    pub(crate) held: BTreeMap<LogId, Vec<SignedEntry>>,
    pub(crate) taken: Vec<SignedEntry>,
    pub(crate) keys: BTreeMap<[u8; 8], PeerId>,
    pub(crate) read_entries_max: usize,
}

impl Memory {
    pub(crate) fn new(seed: u8, role: u8) -> Self {
        let author = Author::new(seed, 0);
        let keys = BTreeMap::from([(author.log.origin, author.key.public())]);
        Self {
            author,
            incarnation: [seed; 8],
            role,
            standing: BTreeMap::new(),
            held: BTreeMap::new(),
            taken: Vec::new(),
            keys,
            read_entries_max: usize::MAX,
        }
    }

    pub(crate) fn id(&self) -> PeerId {
        self.author.key.public()
    }

    /// Makes the two regard each other so.
    pub(crate) fn know(&mut self, peer: &PeerId, standing: Standing) {
        self.standing.insert(*peer, standing);
        self.keys.insert(peer.origin(), *peer);
    }

    pub(crate) fn standing(&self, peer: &PeerId) -> Standing {
        self.standing
            .get(peer)
            .copied()
            .unwrap_or(Standing::Unknown)
    }

    pub(crate) fn local_hello(&self) -> LocalHello {
        LocalHello {
            lineage: [0x11; 8],
            incarnation: self.incarnation,
            role: self.role,
            clock_ms: 1_760_000_000_000,
            policy_epoch: 3,
        }
    }

    pub(crate) fn positions(&self, peer: &PeerId) -> Positions {
        let theirs = LogId::new(peer.origin(), 0);
        let held = self.held.get(&theirs).map_or(&[][..], Vec::as_slice);
        let mut digest = [0; 32];
        for entry in self.author.entries.iter().chain(held) {
            for (sum, byte) in digest.iter_mut().zip(entry.entry_hash()) {
                *sum ^= byte;
            }
        }
        Positions {
            held: vec![cursor_at(theirs, held)],
            offers: vec![Offer {
                head: self.author.head(),
                after: None,
            }],
            digest,
            ..Positions::default()
        }
    }

    pub(crate) fn read(
        &self,
        log: LogId,
        after: u64,
        max_entries: usize,
        max_bytes: usize,
    ) -> Result<Vec<SignedEntry>, HostFailed> {
        if log != self.author.log {
            return Err(HostFailed::new("no such log"));
        }
        let mut bytes = 0;
        let rest = self
            .author
            .entries
            .iter()
            .skip(usize::try_from(after).unwrap());
        Ok(rest
            .take(max_entries.min(self.read_entries_max))
            .enumerate()
            .take_while(|(index, entry)| {
                bytes += entry.body.len();
                *index == 0 || bytes <= max_bytes
            })
            .map(|(_, entry)| entry.clone())
            .collect())
    }

    pub(crate) fn take(&mut self, entries: Vec<VerifiedEntry>) {
        self.taken
            .extend(entries.into_iter().map(VerifiedEntry::into_inner));
    }

    /// The flush: what was taken is durable from here on. Says whether anything became so.
    pub(crate) fn store(&mut self) -> bool {
        let news = !self.taken.is_empty();
        for entry in self.taken.drain(..) {
            let held = self.held.entry(entry.header.log()).or_default();
            if entry.header.seq == held.len() as u64 + 1 {
                held.push(entry);
            }
        }
        news
    }

    pub(crate) fn holds(&self, author: &Author) -> bool {
        self.held.get(&author.log).map_or(0, Vec::len) == author.entries.len()
            && self
                .held
                .get(&author.log)
                .is_none_or(|held| *held == author.entries)
    }
}
