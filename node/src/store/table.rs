//! The tables of the store: one byte each, the first of every stored key.
//!
//! A number, once given, is never given to another table. What a table's keys and
//! values look like is the business of whoever writes them.

/// A table of the store; its number is the first byte of every key in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    /// Facts about the node itself: lineage, format, counters.
    Meta = 1,
    /// Documents as last compacted, sealed.
    Documents = 2,
    /// Changes of documents, in runs, sealed.
    Changes = 3,
    /// Signed entry headers, in runs, in the order of each log.
    Entries = 4,
    /// The order in which the coordination admitted entries.
    Admitted = 5,
    /// One row a document for lists.
    Rows = 6,
    /// From an office's own number to the document.
    References = 7,
    /// Identities of imported lines.
    Lines = 8,
    /// From a subject's keyed hash to its documents.
    Subjects = 9,
    /// Counts of the overview.
    Overview = 10,
    /// Signed facts about members.
    Roster = 11,
    /// Invitations given out.
    Invitations = 12,
    /// Wrapped document keys.
    Keys = 13,
    /// The hash-chained audit log.
    Audit = 14,
    /// What each peer acknowledged.
    Acknowledgements = 15,
    /// Hashes of access tokens.
    Tokens = 16,
    /// Refused entries that wait for an administrator, sealed.
    Quarantine = 17,
    /// Documents that were erased, and changes whose bodies are not here.
    Tombstones = 18,
    /// Proofs that an origin signed two entries with one number.
    Equivocations = 19,
    /// What people have opened: here, of peers' entries; at peers, of own ones.
    Seen = 20,
}

impl Table {
    /// Every table, by number.
    pub const ALL: [Self; 20] = [
        Self::Meta,
        Self::Documents,
        Self::Changes,
        Self::Entries,
        Self::Admitted,
        Self::Rows,
        Self::References,
        Self::Lines,
        Self::Subjects,
        Self::Overview,
        Self::Roster,
        Self::Invitations,
        Self::Keys,
        Self::Audit,
        Self::Acknowledgements,
        Self::Tokens,
        Self::Quarantine,
        Self::Tombstones,
        Self::Equivocations,
        Self::Seen,
    ];

    /// The table's number.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The table with that number, if there is one.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.code() == code)
    }

    /// Whether a key of the table, once written, is never written again: its rows need no look
    /// at what stood there before.
    pub const fn is_append_only(self) -> bool {
        matches!(self, Self::Admitted | Self::Lines | Self::Audit)
    }

    /// The table's name in messages and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Documents => "documents",
            Self::Changes => "changes",
            Self::Entries => "entries",
            Self::Admitted => "admitted",
            Self::Rows => "rows",
            Self::References => "references",
            Self::Lines => "lines",
            Self::Subjects => "subjects",
            Self::Overview => "overview",
            Self::Roster => "roster",
            Self::Invitations => "invitations",
            Self::Keys => "keys",
            Self::Audit => "audit",
            Self::Acknowledgements => "acknowledgements",
            Self::Tokens => "tokens",
            Self::Quarantine => "quarantine",
            Self::Tombstones => "tombstones",
            Self::Equivocations => "equivocations",
            Self::Seen => "seen",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_its_own_number_from_one_upwards() {
        let codes: Vec<u8> = Table::ALL.iter().map(|table| table.code()).collect();
        assert_eq!(codes, (1..=20).collect::<Vec<u8>>());
        for table in Table::ALL {
            assert_eq!(Table::from_code(table.code()), Some(table));
        }
        assert_eq!(Table::from_code(0), None);
        assert_eq!(Table::from_code(21), None);
    }
}
