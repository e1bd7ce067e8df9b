//! Neighbouring entries of one log in one row: those that one commit wrote.
//!
//! Key: log 9, number of the last u64; so the entries after n begin with the first row after n's
//! key. Value: version, `prev` of the first 32, count u32, entries. What follows from the key or
//! from the entry before (origin, lane, numbers, links) is left out; headers come back byte for byte.
//! Does not know what bodies say.

use raccordo_transport::{EntryHeader, EntryKind, LogId, SignedHeader};

use super::fields::{BadRow, FieldReader, FieldWriter};

/// Most bytes of a row, but for a single entry that is longer by itself.
pub(crate) const RUN_BYTES_MAX: usize = 24 << 10;

const VERSION: u8 = 2;
const KEY_BYTES: usize = 17;

/// What an entry has in common with the one before it in its run.
const SAME_INCARNATION: u8 = 1;
const SAME_POLICY_EPOCH: u8 = 2;
const SAME_DOCUMENT: u8 = 4;
/// It is a group by itself.
const ALONE: u8 = 8;

/// Where an entry's body is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BodyPlace {
    /// The document's change with this number.
    Change(u32),
    /// Here, in plain: a fact about the federation.
    Here(Vec<u8>),
    /// Nowhere any more: it was removed with its document.
    Erased,
}

/// One stored entry: its signed header, and where its body is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredEntry {
    pub(crate) signed: SignedHeader,
    pub(crate) body: BodyPlace,
}

/// A run in the making.
#[derive(Debug)]
pub(crate) struct OpenEntryRun {
    log: LogId,
    first_prev: [u8; 32],
    last: EntryHeader,
    count: u32,
    entries: FieldWriter,
}

impl OpenEntryRun {
    /// A run of one.
    pub(crate) fn begin(signed: &SignedHeader, body: &BodyPlace) -> Self {
        let mut entries = FieldWriter::default();
        write_entry(&mut entries, None, signed, body);
        Self {
            log: signed.header.log(),
            first_prev: signed.header.prev,
            last: signed.header.clone(),
            count: 1,
            entries,
        }
    }

    /// Adds the next entry of the log; false if there is no room or it is not the next one.
    pub(crate) fn push(&mut self, signed: &SignedHeader, body: &BodyPlace) -> bool {
        let header = &signed.header;
        if header.log() != self.log || header.seq != self.last.seq + 1 {
            return false;
        }
        let before = self.entries.len();
        write_entry(&mut self.entries, Some(&self.last), signed, body);
        if self.entries.len() > RUN_BYTES_MAX {
            self.entries.truncate(before);
            return false;
        }
        self.last = header.clone();
        self.count += 1;
        true
    }

    /// Key and value of the row.
    pub(crate) fn row(mut self) -> (Vec<u8>, Vec<u8>) {
        let mut out = FieldWriter::new(VERSION);
        out.fixed(&self.first_prev).u32(self.count);
        let value = out.fixed(&self.entries.finish()).finish();
        (entry_key(self.log, self.last.seq), value)
    }
}

/// The entries of a row, in order.
pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<Vec<StoredEntry>, BadRow> {
    let bad = BadRow {
        row: "entry",
        at: 0,
    };
    let key: &[u8; KEY_BYTES] = key.try_into().map_err(|_| bad.clone())?;
    let (origin, rest) = key.split_first_chunk().expect("17 bytes begin with 8");
    let (lane, last) = rest.split_first().expect("17 bytes have a ninth");
    let log = LogId::new(*origin, *lane);
    let last = u64::from_be_bytes(last.try_into().expect("17 bytes less 9 are 8"));
    let mut row = FieldReader::open("entry", VERSION, value)?;
    let mut prev = row.array()?;
    let count = row.u32()?;
    let end = last.checked_add(1).ok_or(bad.clone())?;
    let first = end.checked_sub(u64::from(count)).ok_or(bad)?;
    let mut entries: Vec<StoredEntry> = Vec::new();
    for seq in first..end {
        let before = entries.last().map(|entry| &entry.signed.header);
        let entry = read_entry(&mut row, log, seq, prev, before)?;
        prev = entry.signed.entry_hash();
        entries.push(entry);
    }
    Ok(entries)
}

/// The row of these entries, which stood in one row before and take no more room now.
pub(crate) fn encode(entries: &[StoredEntry]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (first, others) = entries.split_first()?;
    let mut run = OpenEntryRun::begin(&first.signed, &first.body);
    others
        .iter()
        .all(|entry| run.push(&entry.signed, &entry.body))
        .then(|| run.row())
}

/// Origin, then lane.
pub(crate) fn log_key(log: LogId) -> [u8; 9] {
    let mut key = [0; 9];
    key[..8].copy_from_slice(&log.origin);
    key[8] = log.lane;
    key
}

/// Key of the run that ends with this number; what comes after it in the table holds later ones.
pub(crate) fn entry_key(log: LogId, seq: u64) -> Vec<u8> {
    [log_key(log).as_slice(), &seq.to_be_bytes()].concat()
}

fn write_entry(
    out: &mut FieldWriter,
    before: Option<&EntryHeader>,
    signed: &SignedHeader,
    body: &BodyPlace,
) {
    let header = &signed.header;
    let mut flags = 0;
    let mut common = |flag: u8, same: bool| flags |= if same { flag } else { 0 };
    if let Some(before) = before {
        common(SAME_INCARNATION, before.incarnation == header.incarnation);
        common(
            SAME_POLICY_EPOCH,
            before.policy_epoch == header.policy_epoch,
        );
        let document = |header: &EntryHeader| (header.document, header.document_kind);
        common(SAME_DOCUMENT, document(before) == document(header));
    }
    common(
        ALONE,
        header.group_first == header.seq && header.group_count == 1,
    );
    out.u8(flags).u8(header.kind.code());
    if flags & SAME_INCARNATION == 0 {
        out.fixed(&header.incarnation);
    }
    if flags & SAME_POLICY_EPOCH == 0 {
        out.u32(header.policy_epoch);
    }
    if flags & SAME_DOCUMENT == 0 {
        out.fixed(&header.document).u8(header.document_kind);
    }
    if flags & ALONE == 0 {
        out.u64(header.group_first).u32(header.group_count);
    }
    out.fixed(&header.body_hash)
        .u64(header.hlc)
        .fixed(&signed.signature);
    match body {
        BodyPlace::Change(number) => out.u8(0).u32(*number),
        BodyPlace::Here(body) => out.u8(1).bytes(body),
        BodyPlace::Erased => out.u8(2),
    };
}

fn read_entry(
    row: &mut FieldReader<'_>,
    log: LogId,
    seq: u64,
    prev: [u8; 32],
    before: Option<&EntryHeader>,
) -> Result<StoredEntry, BadRow> {
    let flags = row.u8()?;
    let kind = EntryKind::from_code(row.u8()?).ok_or_else(|| row.bad())?;
    let before = |row: &FieldReader<'_>| before.ok_or_else(|| row.bad());
    let incarnation = match flags & SAME_INCARNATION {
        0 => row.array()?,
        _ => before(row)?.incarnation,
    };
    let policy_epoch = match flags & SAME_POLICY_EPOCH {
        0 => row.u32()?,
        _ => before(row)?.policy_epoch,
    };
    let (document, document_kind) = match flags & SAME_DOCUMENT {
        0 => (row.array()?, row.u8()?),
        _ => (before(row)?.document, before(row)?.document_kind),
    };
    let (group_first, group_count) = match flags & ALONE {
        0 => (row.u64()?, row.u32()?),
        _ => (seq, 1),
    };
    let header = EntryHeader {
        lane: log.lane,
        origin: log.origin,
        incarnation,
        seq,
        prev,
        group_first,
        group_count,
        kind,
        document,
        document_kind,
        body_hash: row.array()?,
        policy_epoch,
        hlc: row.u64()?,
    };
    let signature = row.array()?;
    let body = match row.u8()? {
        0 => BodyPlace::Change(row.u32()?),
        1 => BodyPlace::Here(row.bytes()?.to_vec()),
        2 => BodyPlace::Erased,
        _ => return Err(row.bad()),
    };
    Ok(StoredEntry {
        signed: SignedHeader { header, signature },
        body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries 5 and following of one log, each of another shape.
    fn entries(count: u64) -> Vec<StoredEntry> {
        let mut prev = [3; 32];
        let mut entries = Vec::new();
        for seq in 5..5 + count {
            let byte = u8::try_from(seq % 7).unwrap();
            let header = EntryHeader {
                lane: 1,
                origin: *b"originid",
                incarnation: [u8::try_from(seq / 20 % 250).unwrap(); 8],
                seq,
                prev,
                group_first: seq - u64::from(byte % 2),
                group_count: 1 + u32::from(byte % 3),
                kind: if byte == 0 {
                    EntryKind::Roster
                } else {
                    EntryKind::Change
                },
                document: [byte / 2; 16],
                document_kind: 1,
                body_hash: [byte; 32],
                policy_epoch: u32::try_from(seq / 9).unwrap(),
                hlc: seq << 16,
            };
            let body = match byte {
                0 => BodyPlace::Here(vec![7; 40]),
                1 => BodyPlace::Erased,
                _ => BodyPlace::Change(u32::from(byte)),
            };
            let signed = SignedHeader {
                header,
                signature: [byte; 64],
            };
            prev = signed.entry_hash();
            entries.push(StoredEntry { signed, body });
        }
        entries
    }

    #[test]
    fn the_entries_of_a_run_come_back_byte_for_byte() {
        for count in [1, 2, 60] {
            let entries = entries(count);
            let (key, value) = encode(&entries).unwrap();
            assert_eq!(decode(&key, &value), Ok(entries));
        }
    }

    #[test]
    fn a_run_takes_no_more_than_its_room_and_only_the_next_entry_of_its_log() {
        let entries = entries(1_000);
        let mut run = OpenEntryRun::begin(&entries[0].signed, &entries[0].body);
        assert!(!run.push(&entries[2].signed, &entries[2].body));
        let taken = entries[1..]
            .iter()
            .take_while(|entry| run.push(&entry.signed, &entry.body))
            .count();
        let (key, value) = run.row();
        assert!(value.len() <= RUN_BYTES_MAX + 64, "{}", value.len());
        assert!(taken > 100, "{taken}");
        assert_eq!(decode(&key, &value), Ok(entries[..=taken].to_vec()));
    }

    #[test]
    fn a_damaged_row_of_entries_is_an_error_and_no_panic() {
        let (key, value) = encode(&entries(9)).unwrap();
        for length in 0..value.len() {
            assert!(decode(&key, &value[..length]).is_err(), "{length}");
        }
        assert!(decode(&key[1..], &value).is_err());
        let last_is_two = entry_key(LogId::new(*b"originid", 1), 2);
        assert!(decode(&last_is_two, &value).is_err());
    }

    #[test]
    fn the_layout_of_a_run_of_entries_is_a_promise() {
        let header = EntryHeader {
            lane: 0,
            origin: *b"originid",
            incarnation: [1; 8],
            seq: 9,
            prev: [2; 32],
            group_first: 9,
            group_count: 1,
            kind: EntryKind::Change,
            document: [3; 16],
            document_kind: 1,
            body_hash: [4; 32],
            policy_epoch: 5,
            hlc: 6,
        };
        let first = SignedHeader {
            header,
            signature: [7; 64],
        };
        let header = EntryHeader {
            seq: 10,
            prev: first.entry_hash(),
            group_count: 2,
            group_first: 10,
            ..first.header
        };
        let second = SignedHeader {
            header,
            signature: [8; 64],
        };
        let mut run = OpenEntryRun::begin(&first, &BodyPlace::Change(1));
        assert!(run.push(&second, &BodyPlace::Erased));
        let (key, value) = run.row();
        assert_eq!(key, *b"originid\0\0\0\0\0\0\0\0\x0a");
        let expected = [
            [2].as_slice(),
            &[2; 32],
            &[0, 0, 0, 2],
            // A group by itself, nothing before it; a change.
            &[8, 1],
            &[1; 8],
            &[0, 0, 0, 5],
            &[3; 16],
            &[1],
            &[4; 32],
            &[0, 0, 0, 0, 0, 0, 0, 6],
            &[7; 64],
            &[0, 0, 0, 0, 1],
            // Incarnation, policy epoch and document as before; its group is told.
            &[7, 1],
            &[0, 0, 0, 0, 0, 0, 0, 10],
            &[0, 0, 0, 2],
            &[4; 32],
            &[0, 0, 0, 0, 0, 0, 0, 6],
            &[8; 64],
            &[2],
        ]
        .concat();
        assert_eq!(value, expected);
    }
}
