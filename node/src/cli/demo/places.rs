//! The real municipalities of the four districts of Frosinone, by weight of their inhabitants.
//!
//! Source: `node/data/SOURCES.md`.

use std::collections::BTreeMap;

/// Which municipality belongs to which district.
const DISTRICTS: &str = include_str!("../../../data/distretti_comuni.csv");

/// Every municipality with its inhabitants.
const MUNICIPALITIES: &str = include_str!("../../../data/comuni.csv");

/// ISTAT codes of a district's municipalities (`A` to `D`), each with its inhabitants.
pub(super) fn municipalities(district: &str) -> Vec<(&'static str, u64)> {
    let inhabitants: BTreeMap<&str, u64> = MUNICIPALITIES
        .lines()
        .skip(1)
        .filter_map(|line| {
            Some((
                line.split(',').next()?,
                line.split(',').nth(7)?.parse().ok()?,
            ))
        })
        .collect();
    DISTRICTS
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut columns = line.split(',');
            let is_ours = columns.next()? == "Frosinone" && columns.next()? == district;
            let code = columns.nth(2)?;
            is_ours.then(|| (code, inhabitants.get(code).copied().unwrap_or(1)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_districts_have_all_their_municipalities() {
        let counts = ["A", "B", "C", "D"].map(|district| municipalities(district).len());
        assert_eq!(counts, [15, 23, 27, 26]);
        let alatri = municipalities("A")
            .into_iter()
            .find(|(code, _)| *code == "060003");
        assert_eq!(alatri, Some(("060003", 28609)));
    }
}
