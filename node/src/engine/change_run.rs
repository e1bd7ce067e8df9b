//! Changes of one document in one row: those that one commit wrote, packed and sealed together.
//!
//! Key: document 16, number of the first u32. Value: version, count u32, where each came from,
//! packing u8, plain length u32, sealed bodies. The seal covers all of the row and its number, so
//! that nothing of it opens elsewhere. Does not know what a change says.

use aws_lc_rs::digest::{Context, SHA256};
use raccordo_crdt_model::DocumentId;
use raccordo_transport::LogId;

use super::entry_run::RUN_BYTES_MAX;
use super::fields::{BadRow, FieldReader, FieldWriter};
use crate::store::Table;
use crate::store::seal::{SealFailed, SealKey};

const VERSION: u8 = 2;
const BOUND_LABEL: &[u8] = b"raccordo-change-run-1\0";
/// Bodies shorter than this together are not worth packing.
const PACK_MIN_BYTES: usize = 512;
const PACK_LEVEL: i32 = 1;
/// Most bytes that packed bodies may claim to be.
const PLAIN_BYTES_MAX: usize = 64 << 20;

const PLAIN: u8 = 0;
const PACKED: u8 = 1;
/// A change came by the same log as the one before it.
const SAME_LOG: u8 = 1;

/// Where a change came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChangeOrigin {
    pub(crate) log: LogId,
    pub(crate) seq: u64,
    /// The change's own hash.
    pub(crate) hash: [u8; 32],
    /// Hybrid clock of its entry: unix ms in the upper 48 bits.
    pub(crate) hlc: u64,
}

/// A run in the making: bodies in plain until it is sealed.
#[derive(Debug)]
pub(crate) struct OpenChangeRun {
    first: u32,
    count: u32,
    log: Option<LogId>,
    origins: FieldWriter,
    bodies: FieldWriter,
}

impl OpenChangeRun {
    /// An empty run whose first change will have this number.
    pub(crate) fn begin(first: u32) -> Self {
        Self {
            first,
            count: 0,
            log: None,
            origins: FieldWriter::default(),
            bodies: FieldWriter::default(),
        }
    }

    /// Adds the next change of the document; false if there is no room.
    pub(crate) fn push(&mut self, origin: &ChangeOrigin, body: &[u8]) -> bool {
        let bytes = self.origins.len() + self.bodies.len() + body.len();
        if self.count > 0 && bytes > RUN_BYTES_MAX {
            return false;
        }
        let same = self.log == Some(origin.log);
        self.origins.u8(if same { SAME_LOG } else { 0 });
        if !same {
            self.origins.fixed(&origin.log.origin).u8(origin.log.lane);
        }
        self.origins
            .u64(origin.seq)
            .fixed(&origin.hash)
            .u64(origin.hlc);
        self.bodies.bytes(body);
        self.log = Some(origin.log);
        self.count += 1;
        true
    }

    /// Key and value of the row.
    pub(crate) fn seal(
        mut self,
        document: DocumentId,
        key: &SealKey,
        nonce: [u8; 12],
    ) -> (Vec<u8>, Vec<u8>) {
        let bodies = self.bodies.finish();
        let packed = pack(&bodies);
        let mut out = FieldWriter::new(VERSION);
        out.u32(self.count).fixed(&self.origins.finish());
        out.u8(if packed.is_some() { PACKED } else { PLAIN });
        out.u32(u32::try_from(bodies.len()).expect("a commit's bodies are far below 4 GiB"));
        let mut value = out.finish();
        let bound = bound(self.first, &value);
        let plain = packed.as_deref().unwrap_or(&bodies);
        let sealed = key.seal(Table::Changes, *document.as_bytes(), &bound, plain, nonce);
        value.extend_from_slice(&sealed);
        (change_key(document, self.first), value)
    }
}

/// A stored run, still sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChangeRun {
    /// Number of the first change.
    pub(crate) first: u32,
    pub(crate) origins: Vec<ChangeOrigin>,
    packing: u8,
    plain_bytes: usize,
    bound: [u8; 32],
    sealed: Vec<u8>,
}

impl ChangeRun {
    pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<Self, BadRow> {
        let bad = BadRow {
            row: "change",
            at: 0,
        };
        let (_, number) = key.split_at_checked(16).ok_or(bad.clone())?;
        let first = u32::from_be_bytes(number.try_into().map_err(|_| bad)?);
        let mut row = FieldReader::open("change", VERSION, value)?;
        let mut origins: Vec<ChangeOrigin> = Vec::new();
        for _ in 0..row.u32()? {
            let same = row.u8()? & SAME_LOG != 0;
            let log = match origins.last() {
                Some(before) if same => before.log,
                _ => LogId::new(row.array()?, row.u8()?),
            };
            origins.push(ChangeOrigin {
                log,
                seq: row.u64()?,
                hash: row.array()?,
                hlc: row.u64()?,
            });
        }
        let packing = row.u8()?;
        let plain_bytes = usize::try_from(row.u32()?).expect("u32 fits usize here");
        if packing > PACKED || plain_bytes > PLAIN_BYTES_MAX {
            return Err(row.bad());
        }
        let sealed = row.rest().to_vec();
        let bound = bound(first, &value[..value.len() - sealed.len()]);
        Ok(Self {
            first,
            origins,
            packing,
            plain_bytes,
            bound,
            sealed,
        })
    }

    /// The bodies of all changes, in their order.
    pub(crate) fn open(
        &self,
        document: DocumentId,
        key: &SealKey,
    ) -> Result<Vec<Vec<u8>>, SealFailed> {
        let id = *document.as_bytes();
        let mut plain = key.open(Table::Changes, id, &self.bound, &self.sealed)?;
        if self.packing == PACKED {
            plain = zstd::bulk::decompress(&plain, self.plain_bytes)
                .map_err(|_| SealFailed::DoesNotOpen)?;
        }
        let mut bodies = FieldReader::plain("change", &plain);
        let count = self.origins.len();
        let opened: Result<Vec<_>, BadRow> = (0..count)
            .map(|_| bodies.bytes().map(<[u8]>::to_vec))
            .collect();
        opened.map_err(|_| SealFailed::DoesNotOpen)
    }
}

/// Key of the run that begins with this number.
pub(crate) fn change_key(document: DocumentId, number: u32) -> Vec<u8> {
    [document.as_bytes().as_slice(), &number.to_be_bytes()].concat()
}

/// The bodies made shorter, if they become so.
fn pack(bodies: &[u8]) -> Option<Vec<u8>> {
    if bodies.len() < PACK_MIN_BYTES {
        return None;
    }
    let packed = zstd::bulk::compress(bodies, PACK_LEVEL).ok()?;
    (packed.len() < bodies.len()).then_some(packed)
}

/// What the seal is bound to beside table and document: the run's number and all before the seal.
fn bound(first: u32, head: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(BOUND_LABEL);
    context.update(&first.to_be_bytes());
    context.update(head);
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemEntropy;
    use crate::store::seal::Vault;

    const DOCUMENT: DocumentId = DocumentId::from_bytes([9; 16]);

    fn key() -> (tempfile::TempDir, SealKey) {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::open(&folder.path().join("keys"), [1; 8], &SystemEntropy).unwrap();
        let (key, _) = vault.new_document_key([9; 16], &SystemEntropy);
        (folder, key)
    }

    fn origin(number: u8) -> ChangeOrigin {
        ChangeOrigin {
            log: LogId::new([number / 3; 8], 0),
            seq: u64::from(number),
            hash: [number; 32],
            hlc: 77,
        }
    }

    fn run(bodies: &[Vec<u8>]) -> OpenChangeRun {
        let mut run = OpenChangeRun::begin(4);
        for (number, body) in (0..).zip(bodies) {
            assert!(run.push(&origin(number), body));
        }
        run
    }

    #[test]
    fn the_changes_of_a_run_come_back_packed_or_not() {
        let (_folder, seal_key) = key();
        for bodies in [
            vec![vec![1, 2, 3]],
            vec![b"words ".repeat(200), Vec::new(), b"words ".repeat(100)],
        ] {
            let (key, value) = run(&bodies).seal(DOCUMENT, &seal_key, [5; 12]);
            let stored = ChangeRun::decode(&key, &value).unwrap();
            assert_eq!(stored.first, 4);
            let numbers = 0..u8::try_from(bodies.len()).unwrap();
            assert_eq!(stored.origins, numbers.map(origin).collect::<Vec<_>>());
            assert_eq!(stored.open(DOCUMENT, &seal_key).unwrap(), bodies);
            assert!(value.len() < 1_000, "{} bytes", value.len());
        }
    }

    #[test]
    fn a_run_whose_head_or_number_was_altered_does_not_open() {
        let (_folder, seal_key) = key();
        let (key, value) = run(&[vec![1; 50], vec![2; 50]]).seal(DOCUMENT, &seal_key, [5; 12]);
        let elsewhere = ChangeRun::decode(&change_key(DOCUMENT, 5), &value).unwrap();
        assert!(elsewhere.open(DOCUMENT, &seal_key).is_err());
        for at in 1..value.len() {
            let mut altered = value.clone();
            altered[at] ^= 1;
            if let Ok(run) = ChangeRun::decode(&key, &altered) {
                assert!(run.open(DOCUMENT, &seal_key).is_err(), "{at}");
            }
        }
    }

    #[test]
    fn a_run_has_bounded_room_but_takes_any_single_change() {
        let mut run = OpenChangeRun::begin(0);
        assert!(run.push(&origin(0), &vec![0; RUN_BYTES_MAX * 3]));
        assert!(!run.push(&origin(1), &[1]));
    }

    #[test]
    fn the_layout_of_a_run_of_changes_is_a_promise() {
        let (_folder, seal_key) = key();
        let mut run = OpenChangeRun::begin(7);
        let first = ChangeOrigin {
            log: LogId::new(*b"originid", 0),
            seq: 1,
            hash: [0xab; 32],
            hlc: 2,
        };
        assert!(run.push(&first, b"one"));
        let second = ChangeOrigin { seq: 3, ..first };
        assert!(run.push(&second, b"two"));
        let (key, value) = run.seal(DOCUMENT, &seal_key, [5; 12]);
        assert_eq!(key, [[9; 16].as_slice(), &[0, 0, 0, 7]].concat());
        let head = [
            [2].as_slice(),
            &[0, 0, 0, 2],
            &[0],
            b"originid",
            &[0],
            &[0, 0, 0, 0, 0, 0, 0, 1],
            &[0xab; 32],
            &[0, 0, 0, 0, 0, 0, 0, 2],
            &[1],
            &[0, 0, 0, 0, 0, 0, 0, 3],
            &[0xab; 32],
            &[0, 0, 0, 0, 0, 0, 0, 2],
            // Not packed, fourteen bytes.
            &[0],
            &[0, 0, 0, 14],
        ]
        .concat();
        assert_eq!(value[..head.len()], head);
        let bound = bound(7, &head);
        let plain = seal_key
            .open(Table::Changes, [9; 16], &bound, &value[head.len()..])
            .unwrap();
        assert_eq!(plain, b"\0\0\0\x03one\0\0\0\x03two");
    }
}
