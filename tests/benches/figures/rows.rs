//! The rows that a node stored, to be committed again by the store alone.

use std::path::Path;

use raccordo_node::store::{Batch, Options, Store, Table};

/// Longest row that a single edit adds.
const SINGLE_BYTES_MAX: usize = 1_024;

/// One row: its table, its key, its value.
pub(crate) type Row = (Table, Vec<u8>, Vec<u8>);

/// Tables whose rows every window of an import writes anew.
const REWRITTEN: [Table; 3] = [Table::Documents, Table::Rows, Table::Overview];
/// Tables that a single edit adds a row to.
const ADDED: [Table; 4] = [
    Table::Changes,
    Table::Entries,
    Table::Admitted,
    Table::Audit,
];
/// Tables of which a single edit replaces a row.
const REPLACED: [Table; 3] = [Table::Documents, Table::Rows, Table::Overview];

/// Every row of a stopped node's store.
pub(crate) async fn of_node(data: &Path) -> anyhow::Result<Vec<Row>> {
    super::nodes::at_rest(data).await?;
    let store = Store::open(&data.join("store"), &Options::default())?;
    let mut rows = Vec::new();
    for table in Table::ALL {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = store.scan(table, &[], after.as_deref(), 4_096)?;
            after = page.last().map(|(key, _)| key.clone());
            rows.extend(page.into_iter().map(|(key, value)| (table, key, value)));
            if after.is_none() {
                break;
            }
        }
    }
    Ok(rows)
}

/// Bytes of keys and values.
pub(crate) fn bytes(rows: &[Row]) -> usize {
    rows.iter()
        .map(|(_, key, value)| key.len() + value.len())
        .sum()
}

/// The rows as an import in so many windows writes them: each window touches every document.
pub(crate) fn in_windows(rows: &[Row], windows: usize) -> Vec<Vec<Row>> {
    let share = |window: usize| {
        let own = |(index, row): (usize, &Row)| {
            (index % windows == window || REWRITTEN.contains(&row.0)).then(|| row.clone())
        };
        rows.iter().enumerate().filter_map(own).collect()
    };
    (0..windows).map(share).collect()
}

/// What single edits write, `each` of them to a batch: rows of the store's own sizes.
pub(crate) fn of_edits(rows: &[Row], edits: usize, each: usize) -> Vec<Vec<Row>> {
    // An edit by itself shares its rows with nothing: not those that an import wrote together.
    let of = |table: Table| {
        rows.iter()
            .filter(move |row| row.0 == table && row.2.len() <= SINGLE_BYTES_MAX)
            .collect::<Vec<_>>()
    };
    let added: Vec<_> = ADDED
        .into_iter()
        .map(of)
        .filter(|rows| !rows.is_empty())
        .collect();
    let replaced: Vec<_> = REPLACED
        .into_iter()
        .map(of)
        .filter(|rows| !rows.is_empty())
        .collect();
    let meta = of(Table::Meta);
    let edit = |number: usize| {
        // Spread over the documents, as edits are.
        let at = number.wrapping_mul(7_919);
        let mut written: Vec<Row> = meta.iter().take(2).map(|row| (*row).clone()).collect();
        for rows in &added {
            let (table, key, value) = rows[at % rows.len()];
            written.push((
                *table,
                [key.as_slice(), &number.to_be_bytes()].concat(),
                value.clone(),
            ));
        }
        written.extend(replaced.iter().map(|rows| rows[at % rows.len()].clone()));
        written
    };
    let numbers: Vec<usize> = (0..edits).collect();
    numbers
        .chunks(each)
        .map(|chunk| chunk.iter().copied().flat_map(edit).collect())
        .collect()
}

/// One commit of these rows.
pub(crate) fn batch(rows: Vec<Row>) -> Batch {
    let mut batch = Batch::new();
    for (table, key, value) in rows {
        batch.put(table, key, value);
    }
    batch
}
