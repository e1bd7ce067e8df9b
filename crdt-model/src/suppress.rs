//! Counts that may be published: small ones are withheld, and others with them, so that no
//! withheld one can be found by subtracting.
//!
//! Whoever reads a published table knows its totals, that counts are whole, that zeros are shown,
//! and so that what is withheld is at least 1. Guarantee: for every withheld count there is another
//! table, with other numbers there, that would be shown the same. Pure.

/// The smallest count that is shown.
pub const SMALLEST_SHOWN: u64 = 5;

/// Counts of one list and their sum; `None` is withheld.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownList {
    /// In the order given.
    pub counts: Vec<Option<u64>>,
    /// Their sum.
    pub total: Option<u64>,
}

/// Counts in rows and columns with all sums; `None` is withheld.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownTable {
    /// Row by row.
    pub counts: Vec<Vec<Option<u64>>>,
    /// The sum of each row.
    pub rows: Vec<Option<u64>>,
    /// The sum of each column.
    pub columns: Vec<Option<u64>>,
    /// The sum of all.
    pub total: Option<u64>,
}

/// A list of counts and its sum as they may be shown: none from 1 to below `smallest`.
pub fn list(counts: &[u64], smallest: u64) -> ShownList {
    // A list is a table of one row: its columns' sums are its counts once more.
    let sum = counts.iter().sum();
    let mut hidden: Vec<bool> = counts.iter().map(|n| is_small(*n, smallest)).collect();
    let mut hide_total = is_small(sum, smallest);
    for place in 0..counts.len() {
        if !hidden[place] || hide_total {
            continue;
        }
        let pairs = |other: usize| {
            let (one, two) = (counts[place], counts[other]);
            other != place && two > 0 && (one > 1 || two > 1)
        };
        let others = (0..counts.len()).filter(|other| pairs(*other));
        match others.min_by_key(|other| (!hidden[*other], counts[*other])) {
            Some(other) => hidden[other] = true,
            None => hide_total = true,
        }
    }
    let shown = |(count, hidden): (&u64, &bool)| (!hidden).then_some(*count);
    ShownList {
        counts: counts.iter().zip(&hidden).map(shown).collect(),
        total: (!hide_total).then_some(sum),
    }
}

/// A table of counts, its rows of equal length, as it may be shown with all its sums. Where nothing
/// less helps, all of it is withheld.
pub fn table(counts: &[Vec<u64>], smallest: u64) -> ShownTable {
    let grid = Grid::of(counts);
    let mut hidden = vec![vec![false; grid.width()]; grid.height()];
    let places: Vec<(usize, usize)> = (0..grid.height())
        .flat_map(|row| (0..grid.width()).map(move |column| (row, column)))
        .collect();
    for (row, column) in &places {
        hidden[*row][*column] = is_small(grid.at(*row, *column), smallest);
    }
    let small: Vec<_> = places.iter().filter(|(r, c)| hidden[*r][*c]).collect();
    for place in small {
        let Some(corners) = grid.cheapest(*place, &hidden) else {
            hidden
                .iter_mut()
                .flatten()
                .for_each(|hidden| *hidden = true);
            break;
        };
        for (row, column) in corners {
            hidden[row][column] = true;
        }
    }
    let shown = |row: usize, column: usize| (!hidden[row][column]).then(|| grid.at(row, column));
    let (height, width) = (grid.height() - 1, grid.width() - 1);
    ShownTable {
        counts: (0..height)
            .map(|row| (0..width).map(|column| shown(row, column)).collect())
            .collect(),
        rows: (0..height).map(|row| shown(row, width)).collect(),
        columns: (0..width).map(|column| shown(height, column)).collect(),
        total: shown(height, width),
    }
}

fn is_small(count: u64, smallest: u64) -> bool {
    (1..smallest).contains(&count)
}

/// Counts with their sums as the last row and column.
struct Grid {
    cells: Vec<Vec<u64>>,
}

impl Grid {
    fn of(counts: &[Vec<u64>]) -> Self {
        let mut cells: Vec<Vec<u64>> = counts.to_vec();
        let width = cells.first().map_or(0, Vec::len);
        let sums = (0..width).map(|column| cells.iter().map(|row| row[column]).sum());
        let sums = sums.collect();
        cells.push(sums);
        for row in &mut cells {
            row.push(row.iter().sum());
        }
        Self { cells }
    }

    fn height(&self) -> usize {
        self.cells.len()
    }

    fn width(&self) -> usize {
        self.cells[0].len()
    }

    fn at(&self, row: usize, column: usize) -> u64 {
        self.cells[row][column]
    }

    /// The other three corners of the rectangle that hides least, along which the count at this
    /// place can be another one while every sum stays right and nothing withheld becomes zero.
    fn cheapest(
        &self,
        (row, column): (usize, usize),
        hidden: &[Vec<bool>],
    ) -> Option<[(usize, usize); 3]> {
        let (bottom, right) = (self.height() - 1, self.width() - 1);
        let mut best: Option<(u64, [(usize, usize); 3])> = None;
        for other_row in (0..self.height()).filter(|other| *other != row) {
            for other_column in (0..self.width()).filter(|other| *other != column) {
                // A sum moves with its parts, two parts of one sum against each other.
                let down = bottom == row || bottom == other_row;
                let across = right == column || right == other_column;
                let corners = [
                    ((row, column), true),
                    ((row, other_column), across),
                    ((other_row, column), down),
                    ((other_row, other_column), down == across),
                ];
                let moves = |up: bool| {
                    let least = |with: bool| if with == up { 1 } else { 2 };
                    corners
                        .iter()
                        .all(|((r, c), with)| self.at(*r, *c) >= least(*with))
                };
                if !moves(true) && !moves(false) {
                    continue;
                }
                let others = [corners[1].0, corners[2].0, corners[3].0];
                let new = others.iter().filter(|(r, c)| !hidden[*r][*c]);
                let cost: u64 = new.map(|(r, c)| 1 + self.at(*r, *c)).sum();
                if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                    best = Some((cost, others));
                }
            }
        }
        best.map(|(_, corners)| corners)
    }
}

#[cfg(test)]
mod tests;
