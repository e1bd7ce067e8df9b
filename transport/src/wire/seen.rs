//! Documents that people have opened, as one frame lists them.
//!
//! Guarantees: at least one, at most [`SEEN_ITEMS_MAX`], ascending by document, none twice. Whose log a number is of
//! follows from the connection's keys, and its lane from the document.

use super::frame::{Malformed, Reader, put_varint};
use crate::host::Seen;

/// Most documents that one frame may list.
pub const SEEN_ITEMS_MAX: usize = 64;

/// Appends a count and as many documents.
pub(super) fn put_seen(bytes: &mut Vec<u8>, items: &[Seen]) {
    put_varint(bytes, u64::try_from(items.len()).unwrap_or(u64::MAX));
    for item in items {
        bytes.extend_from_slice(&item.document);
        put_varint(bytes, item.seq);
        bytes.extend_from_slice(&item.at_ms.to_be_bytes());
    }
}

/// Reads a count and as many documents.
pub(super) fn seen(reader: &mut Reader<'_>) -> Result<Vec<Seen>, Malformed> {
    let count = reader.count(SEEN_ITEMS_MAX, "the number of documents")?;
    if count == 0 {
        return Err(Malformed::Meaningless {
            field: "the number of documents",
            seen: 0,
        });
    }
    let mut items: Vec<Seen> = Vec::new();
    for place in 0..count {
        let item = Seen {
            document: reader.array("a document")?,
            seq: reader.varint("a log's position")?,
            at_ms: u64::from_be_bytes(reader.array("the time")?),
        };
        if items
            .last()
            .is_some_and(|last| last.document >= item.document)
        {
            return Err(Malformed::Meaningless {
                field: "the order of documents",
                seen: u64::try_from(place).unwrap_or(u64::MAX),
            });
        }
        items.push(item);
    }
    Ok(items)
}
