//! The signed entries that a district's lines become, made without a node.
//!
//! By the node's own functions (create, patch, sign), so they are as large and as many as those
//! that the districts send; only ids, keys and clocks differ.

use std::collections::BTreeMap;

use anyhow::{Context as _, anyhow};
use raccordo_crdt_model::{
    Change, Document, DocumentId, ImportLine, ImportOp, Kind, LineId, Stamp, UnixMillis,
};
use raccordo_transport::{EntryHeader, EntryKind, NodeKey, PeerId, SignedEntry, sign};

/// One district's log.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) signer: PeerId,
    pub(crate) entries: Vec<SignedEntry>,
}

/// The log of the lines, in their order.
pub(crate) fn log_of(district: char, lines: &[String]) -> anyhow::Result<Log> {
    let letter = u8::try_from(district)?;
    let key = NodeKey::from_seed([letter; 32]);
    let territory = format!("frosinone/{}", district.to_ascii_lowercase());
    let mut documents: BTreeMap<String, Document> = BTreeMap::new();
    let mut log = Log {
        signer: key.public(),
        entries: Vec::with_capacity(lines.len()),
    };
    let mut prev = [0; 32];
    for line in lines {
        let (line, canonical) =
            ImportLine::parse(line).map_err(|problems| anyhow!("{problems:?}"))?;
        let stamp = stamp(&line, &canonical, key.public().origin());
        let Some(change) = perform(&mut documents, letter, &territory, &line, &stamp)? else {
            continue;
        };
        let document = documents
            .get(&line.reference)
            .context("the line has just made or changed it")?;
        let seq = u64::try_from(log.entries.len())? + 1;
        let header = header(&stamp, document.id(), &change, seq, prev);
        let signed = sign(header, &key);
        prev = signed.entry_hash();
        log.entries.push(signed.with_body(change.bytes));
    }
    Ok(log)
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
