//! What a reader of published counts can and cannot find out.

use proptest::prelude::*;

use super::*;

/// Every list with these counts at most that would be shown like this one, as far as sums tell.
fn lists_like(shown: &ShownList, most: u64) -> Vec<Vec<u64>> {
    let mut all = vec![Vec::new()];
    for count in &shown.counts {
        let choices: Vec<u64> = match count {
            Some(count) => vec![*count],
            None => (1..=most).collect(),
        };
        all = all
            .iter()
            .flat_map(|list: &Vec<u64>| {
                choices
                    .iter()
                    .map(|choice| [list.as_slice(), &[*choice]].concat())
            })
            .collect();
    }
    all.retain(|list| {
        shown
            .total
            .is_none_or(|total| list.iter().sum::<u64>() == total)
    });
    all
}

/// As [`lists_like`], of tables.
fn tables_like(shown: &ShownTable, most: u64) -> Vec<Vec<Vec<u64>>> {
    let mut all: Vec<Vec<Vec<u64>>> = vec![Vec::new()];
    for (row, total) in shown.counts.iter().zip(&shown.rows) {
        let rows = lists_like(
            &ShownList {
                counts: row.clone(),
                total: *total,
            },
            most,
        );
        all = all
            .iter()
            .flat_map(|table| {
                rows.iter()
                    .map(|row| [table.as_slice(), std::slice::from_ref(row)].concat())
            })
            .collect();
    }
    let fits = |table: &Vec<Vec<u64>>| {
        let columns = shown.columns.iter().enumerate();
        let sum = |column: usize| table.iter().map(|row| row[column]).sum::<u64>();
        columns
            .clone()
            .all(|(at, wanted)| wanted.is_none_or(|wanted| sum(at) == wanted))
            && shown
                .total
                .is_none_or(|total| table.iter().flatten().sum::<u64>() == total)
    };
    all.retain(fits);
    all
}

/// Whether all of these say the same at a place.
fn told<T>(all: &[T], at: impl Fn(&T) -> u64) -> bool {
    let first = all.first().map(&at);
    all.iter().all(|one| Some(at(one)) == first)
}

proptest! {
    #[test]
    fn no_withheld_count_of_a_list_follows_from_what_is_shown(
        counts in prop::collection::vec(0_u64..9, 1..6),
        smallest in 2_u64..7,
    ) {
        let shown = list(&counts, smallest);
        let like = lists_like(&shown, 10);
        prop_assert!(like.contains(&counts));
        for (at, count) in counts.iter().enumerate() {
            prop_assert!(!is_small(*count, smallest) || shown.counts[at].is_none());
            prop_assert!(shown.counts[at].is_some() || !told(&like, |list| list[at]), "{shown:?}");
        }
        let sum: u64 = counts.iter().sum();
        prop_assert!(!is_small(sum, smallest) || shown.total.is_none());
        prop_assert!(shown.total.is_some() || !told(&like, |list| list.iter().sum()), "{shown:?}");
    }

    #[test]
    fn no_withheld_count_or_sum_of_a_table_follows_from_what_is_shown(
        counts in (1_usize..4, 2_usize..4).prop_flat_map(|(height, width)| {
            let widths = if height == 3 { 2 } else { width };
            prop::collection::vec(prop::collection::vec(0_u64..8, widths), height)
        }),
    ) {
        let shown = table(&counts, SMALLEST_SHOWN);
        let like = tables_like(&shown, 9);
        prop_assert!(like.contains(&counts));
        for (row, line) in counts.iter().enumerate() {
            for (column, count) in line.iter().enumerate() {
                let seen = shown.counts[row][column];
                prop_assert!(!is_small(*count, SMALLEST_SHOWN) || seen.is_none());
                // A zero is withheld only where all is.
                let derived = seen.is_none() && *count > 0 && told(&like, |table| table[row][column]);
                prop_assert!(!derived, "{shown:?}");
            }
            let sum = |table: &Vec<Vec<u64>>| table[row].iter().sum::<u64>();
            prop_assert!(!is_small(sum(&counts), SMALLEST_SHOWN) || shown.rows[row].is_none());
            let derived = shown.rows[row].is_none() && sum(&counts) > 0 && told(&like, sum);
            prop_assert!(!derived, "{shown:?}");
        }
        for column in 0..counts[0].len() {
            let sum = |table: &Vec<Vec<u64>>| table.iter().map(|row| row[column]).sum::<u64>();
            prop_assert!(!is_small(sum(&counts), SMALLEST_SHOWN) || shown.columns[column].is_none());
            let derived = shown.columns[column].is_none() && sum(&counts) > 0 && told(&like, sum);
            prop_assert!(!derived, "{shown:?}");
        }
    }
}

#[test]
fn large_counts_are_shown_and_one_small_one_takes_the_next_with_it() {
    let shown = list(&[12, 3, 40, 7, 0], SMALLEST_SHOWN);
    assert_eq!(shown.counts, [Some(12), None, Some(40), None, Some(0)]);
    assert_eq!(shown.total, Some(62));
    let shown = table(&[vec![20, 30, 9], vec![2, 25, 8], vec![14, 50, 60]], 5);
    assert_eq!(shown.counts[1][0], None);
    assert_eq!(shown.total, Some(218));
    let withheld = shown
        .counts
        .iter()
        .flatten()
        .filter(|count| count.is_none());
    assert_eq!(withheld.count(), 4, "{shown:?}");
    assert!(shown.rows.iter().chain(&shown.columns).all(Option::is_some));
}

#[test]
fn a_single_small_count_takes_the_sum_with_it() {
    let shown = list(&[3], SMALLEST_SHOWN);
    assert_eq!((shown.counts, shown.total), (vec![None], None));
    let shown = list(&[1, 0, 0], SMALLEST_SHOWN);
    assert_eq!(shown.total, None);
    assert_eq!(shown.counts, [None, Some(0), Some(0)]);
}
