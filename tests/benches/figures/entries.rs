//! The signed entries that a district's lines become, made without a node.
//!
//! By the node's own functions (create, patch, sign), so they are as large and as many as those
//! that the districts send; only ids, keys and clocks differ.

use std::collections::BTreeMap;

use anyhow::{Context as _, anyhow};
use raccordo_crdt_model::{
    Change, Document, DocumentId, ImportLine, ImportOp, Kind, LineId, Patch, Stamp, UnixMillis,
};
use raccordo_transport::{EntryHeader, EntryKind, NodeKey, PeerId, SignedEntry, sign};

/// One district's log.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) signer: PeerId,
    pub(crate) entries: Vec<SignedEntry>,
}

/// Who writes a district's log.
#[derive(Debug)]
struct Author {
    letter: u8,
    territory: String,
    key: NodeKey,
    documents: BTreeMap<String, Document>,
    log: Log,
    prev: [u8; 32],
}

/// The log of the lines, in their order.
pub(crate) fn log_of(district: char, lines: &[String]) -> anyhow::Result<Log> {
    let mut author = Author::of(district)?;
    for line in lines {
        author.write_line(line)?;
    }
    Ok(author.log)
}

/// The log of the lines, and the entries that people's edits (reference, patch) after them become.
pub(crate) fn log_and_edits(
    district: char,
    lines: &[String],
    edits: &[(String, Patch)],
) -> anyhow::Result<(Log, Vec<SignedEntry>)> {
    let mut author = Author::of(district)?;
    for line in lines {
        author.write_line(line)?;
    }
    let before = author.log.entries.len();
    for (reference, patch) in edits {
        author.write_edit(reference, patch)?;
    }
    let edits = author.log.entries.split_off(before);
    Ok((author.log, edits))
}

impl Author {
    fn of(district: char) -> anyhow::Result<Self> {
        let letter = u8::try_from(district)?;
        let key = NodeKey::from_seed([letter; 32]);
        let log = Log {
            signer: key.public(),
            entries: Vec::new(),
        };
        Ok(Self {
            letter,
            territory: format!("frosinone/{}", district.to_ascii_lowercase()),
            key,
            documents: BTreeMap::new(),
            log,
            prev: [0; 32],
        })
    }

    fn write_line(&mut self, line: &str) -> anyhow::Result<()> {
        let (line, canonical) =
            ImportLine::parse(line).map_err(|problems| anyhow!("{problems:?}"))?;
        let stamp = stamp(&line, &canonical, self.log.signer.origin());
        let done = perform(
            &mut self.documents,
            self.letter,
            &self.territory,
            &line,
            &stamp,
        )?;
        self.append(&line.reference, &stamp, done)
    }

    fn write_edit(&mut self, reference: &str, patch: &Patch) -> anyhow::Result<()> {
        let stamp = Stamp {
            origin: self.log.signer.origin(),
            incarnation: [7; 8],
            at: UnixMillis(1_770_000_000_000),
            by: Some("op-001".to_owned()),
            line: None,
            imported: false,
        };
        let document = self.documents.get_mut(reference);
        let done = document
            .context("the edited record is among the lines")?
            .patch(patch, None, &stamp)
            .map_err(|refused| anyhow!("{refused:?}"))?;
        self.append(reference, &stamp, done)
    }

    /// Signs what was done, if it altered anything.
    fn append(
        &mut self,
        reference: &str,
        stamp: &Stamp,
        done: Option<Change>,
    ) -> anyhow::Result<()> {
        let Some(change) = done else { return Ok(()) };
        let document = self
            .documents
            .get(reference)
            .context("it has just been made or changed")?;
        let seq = u64::try_from(self.log.entries.len())? + 1;
        let header = header(stamp, document.id(), &change, seq, self.prev);
        let signed = sign(header, &self.key);
        self.prev = signed.entry_hash();
        self.log.entries.push(signed.with_body(change.bytes));
        Ok(())
    }
}

fn perform(
    documents: &mut BTreeMap<String, Document>,
    letter: u8,
    territory: &str,
    line: &ImportLine,
    stamp: &Stamp,
) -> anyhow::Result<Option<Change>> {
    match &line.op {
        ImportOp::Create { doc } => {
            let mut id = [letter; 16];
            id[8..].copy_from_slice(&u64::try_from(documents.len())?.to_be_bytes());
            let (document, change) = Document::create(
                DocumentId::from_bytes(id),
                Kind::Project,
                territory,
                doc,
                stamp,
            )
            .map_err(|refused| anyhow!("{refused:?}"))?;
            documents.insert(line.reference.clone(), document);
            Ok(Some(change))
        }
        ImportOp::Patch { patch } => {
            let document = documents
                .get_mut(&line.reference)
                .context("a create line comes first")?;
            document
                .patch(patch, None, stamp)
                .map_err(|refused| anyhow!("{refused:?}"))
        }
    }
}

fn stamp(line: &ImportLine, canonical: &str, origin: [u8; 8]) -> Stamp {
    Stamp {
        origin,
        incarnation: [7; 8],
        at: line.at.unwrap_or(UnixMillis(0)),
        by: line.by.clone(),
        line: Some(LineId::of(canonical, 0)),
        imported: true,
    }
}

fn header(
    stamp: &Stamp,
    document: DocumentId,
    change: &Change,
    seq: u64,
    prev: [u8; 32],
) -> EntryHeader {
    EntryHeader {
        lane: 0,
        origin: stamp.origin,
        incarnation: stamp.incarnation,
        seq,
        prev,
        group_first: seq,
        group_count: 1,
        kind: EntryKind::Change,
        document: *document.as_bytes(),
        document_kind: 1,
        body_hash: *change.hash.as_bytes(),
        policy_epoch: 0,
        hlc: (1 << 40) + seq,
    }
}
