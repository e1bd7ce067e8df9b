//! A node that keeps everything in memory: an author, logs, and what it holds of others.

use std::collections::{BTreeMap, BTreeSet};

use raccordo_transport::{
    Cursor, DocumentParcel, EntryHeader, EntryKind, HostFailed, LocalHello, LogId, NodeKey, Offer,
    PeerId, Positions, Seen, SignedEntry, Standing, Stopped, VerifiedEntry, body_hash, sign,
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
    /// Its log in lane 2, if it writes one.
    pub(crate) second: Option<Author>,
    pub(crate) incarnation: [u8; 8],
    pub(crate) role: u8,
    pub(crate) clock_ms: u64,
    pub(crate) standing: BTreeMap<PeerId, Standing>,
    pub(crate) held: BTreeMap<LogId, Vec<SignedEntry>>,
    pub(crate) taken: Vec<SignedEntry>,
    pub(crate) keys: BTreeMap<[u8; 8], PeerId>,
    pub(crate) read_entries_max: usize,
    /// Whether it passes on what it holds of others.
    pub(crate) relays: bool,
    /// Logs that it does not offer.
    pub(crate) narrowed: BTreeSet<LogId>,
    /// What the peer said that it does not offer any more.
    pub(crate) withdrawn: BTreeSet<LogId>,
    /// What must be held before a log.
    pub(crate) after: BTreeMap<LogId, (LogId, u64)>,
    pub(crate) stopped: Vec<Stopped>,
    pub(crate) recover: Vec<Cursor>,
    /// Own entries that were set aside for true ones.
    pub(crate) aside: Vec<SignedEntry>,
    /// Entries that came though they were held.
    pub(crate) repeated: usize,
    /// Documents kept beside the logs, and those that are damaged here.
    pub(crate) documents: BTreeMap<[u8; 16], Vec<u8>>,
    pub(crate) wanted: Vec<[u8; 16]>,
    /// What was opened here and is to be told.
    pub(crate) seen: Vec<Seen>,
    /// What the peer told as opened, frame by frame.
    pub(crate) heard: Vec<Vec<Seen>>,
}

impl Memory {
    pub(crate) fn new(seed: u8, role: u8) -> Self {
        let author = Author::new(seed, 0);
        let keys = BTreeMap::from([(author.log.origin, author.key.public())]);
        Self {
            author,
            second: None,
            incarnation: [seed; 8],
            role,
            clock_ms: 1_760_000_000_000,
            standing: BTreeMap::new(),
            held: BTreeMap::new(),
            taken: Vec::new(),
            keys,
            read_entries_max: usize::MAX,
            relays: false,
            narrowed: BTreeSet::new(),
            withdrawn: BTreeSet::new(),
            after: BTreeMap::new(),
            stopped: Vec::new(),
            recover: Vec::new(),
            aside: Vec::new(),
            repeated: 0,
            documents: BTreeMap::new(),
            wanted: Vec::new(),
            seen: Vec::new(),
            heard: Vec::new(),
        }
    }

    pub(crate) fn id(&self) -> PeerId {
        self.author.key.public()
    }

    /// Makes the two regard each other so.
    pub(crate) fn know(&mut self, peer: &PeerId, standing: Standing) {
        self.standing.insert(*peer, standing);
        self.meet(peer);
    }

    /// Knows the key that signs that origin's logs.
    pub(crate) fn meet(&mut self, author: &PeerId) {
        self.keys.insert(author.origin(), *author);
    }

    /// Holds a log of somebody else, as if it had come from a third peer.
    pub(crate) fn hold(&mut self, author: &Author, count: usize) {
        self.meet(&author.key.public());
        let known = self.held.entry(author.log).or_default();
        if count > known.len() {
            *known = author.entries[..count].to_vec();
        }
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
            clock_ms: self.clock_ms,
            policy_epoch: 3,
        }
    }

    pub(crate) fn positions(&self, peer: &PeerId) -> Positions {
        let theirs = |lane| LogId::new(peer.origin(), lane);
        let mut held = vec![self.end(theirs(0))];
        if self.held.contains_key(&theirs(2)) {
            held.push(self.end(theirs(2)));
        }
        let mut offers: Vec<Cursor> = self.own().map(Author::head).collect();
        let mut shared: Vec<LogId> = offers.iter().chain(&held).map(|c| c.log).collect();
        if self.relays {
            let others = self.held.keys().filter(|log| log.origin != peer.origin());
            for log in others {
                held.push(self.end(*log));
                offers.push(self.end(*log));
                shared.push(*log);
            }
        }
        shared.retain(|log| !self.narrowed.contains(log) || !self.withdrawn.contains(log));
        let mut digest = [0; 32];
        for entry in shared.iter().flat_map(|log| self.log(*log)) {
            for (sum, byte) in digest.iter_mut().zip(entry.entry_hash()) {
                *sum ^= byte;
            }
        }
        let offers = offers
            .into_iter()
            .filter(|head| !self.narrowed.contains(&head.log))
            .map(|head| Offer {
                head,
                after: self.after.get(&head.log).copied(),
            });
        for (_, hash) in self.items() {
            for (sum, byte) in digest.iter_mut().zip(hash) {
                *sum ^= byte;
            }
        }
        Positions {
            held,
            offers: offers.collect(),
            digest,
            stopped: self.stopped.clone(),
            recover: self.recover.clone(),
            wanted: self.wanted.clone(),
            seen: self.seen.clone(),
        }
    }

    pub(crate) fn items(&self) -> Vec<([u8; 16], [u8; 32])> {
        self.documents
            .iter()
            .map(|(id, save)| {
                let mut keyed = vec![0; 8];
                keyed.extend_from_slice(id);
                keyed.extend_from_slice(save);
                (*id, body_hash(EntryKind::Change, &keyed).unwrap())
            })
            .collect()
    }

    pub(crate) fn parcels(&self, ids: &[[u8; 16]]) -> Vec<DocumentParcel> {
        ids.iter()
            .filter_map(|id| {
                Some(DocumentParcel {
                    document: *id,
                    headers: Vec::new(),
                    save: self.documents.get(id)?.clone(),
                })
            })
            .collect()
    }

    /// Of two versions the larger one wins, on both sides alike.
    pub(crate) fn install(&mut self, parcels: Vec<DocumentParcel>) {
        for parcel in parcels {
            self.wanted.retain(|id| *id != parcel.document);
            let mine = self.documents.entry(parcel.document).or_default();
            if parcel.save > *mine {
                *mine = parcel.save;
            }
        }
    }

    pub(crate) fn read(
        &self,
        log: LogId,
        after: u64,
        max_entries: usize,
        max_bytes: usize,
    ) -> Result<Vec<SignedEntry>, HostFailed> {
        if !self.keys.contains_key(&log.origin) {
            return Err(HostFailed::new("no such log"));
        }
        let mut bytes = 0;
        let rest = self.log(log).iter().skip(usize::try_from(after).unwrap());
        Ok(rest
            .take(max_entries.min(self.read_entries_max))
            .enumerate()
            .take_while(|(index, entry)| {
                bytes += entry.bytes().len();
                *index == 0 || bytes <= max_bytes
            })
            .map(|(_, entry)| entry.clone())
            .collect())
    }

    pub(crate) fn take(&mut self, entries: Vec<VerifiedEntry>) {
        self.taken
            .extend(entries.into_iter().map(VerifiedEntry::into_inner));
    }

    /// The flush: what was taken is durable from here on, but for stopped logs, of which it is lost.
    /// Own entries that come back take the place of others. Says whether anything became durable.
    pub(crate) fn store(&mut self) -> bool {
        let mut news = false;
        for entry in std::mem::take(&mut self.taken) {
            let log = entry.header.log();
            if self.stopped.iter().any(|stopped| stopped.cursor.log == log) {
                continue;
            }
            let seq = usize::try_from(entry.header.seq).unwrap();
            if log == self.author.log {
                let own = &mut self.author.entries;
                if own.get(seq - 1).is_some_and(|known| *known != entry) {
                    self.aside.extend(own.split_off(seq - 1));
                }
                if own.len() == seq - 1 {
                    own.push(entry);
                    news = true;
                }
                continue;
            }
            let held = self.held.entry(log).or_default();
            if seq == held.len() + 1 {
                held.push(entry);
                news = true;
            } else if seq <= held.len() {
                self.repeated += 1;
            }
        }
        news
    }

    pub(crate) fn holds(&self, author: &Author) -> bool {
        self.log(author.log) == author.entries
    }

    /// All that is held of a log, own ones too.
    pub(crate) fn log(&self, log: LogId) -> &[SignedEntry] {
        match self.own().find(|author| author.log == log) {
            Some(author) => &author.entries,
            None => self.held.get(&log).map_or(&[], Vec::as_slice),
        }
    }

    pub(crate) fn end(&self, log: LogId) -> Cursor {
        cursor_at(log, self.log(log))
    }

    fn own(&self) -> impl Iterator<Item = &Author> {
        std::iter::once(&self.author).chain(&self.second)
    }
}
