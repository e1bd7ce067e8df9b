//! Whose turn it is to send: fair within two classes, the first class preferred.

use crate::log::LogId;

/// Of so many turns the last goes to the second class, if it has anything.
const PREFERRED_TURNS: u32 = 4;

/// The logs that had their turn last.
#[derive(Debug, Default)]
pub(super) struct Turns {
    last: [Option<LogId>; 2],
    taken: u32,
}

impl Turns {
    /// The next of these logs, each list sorted.
    pub(super) fn next(&mut self, first: &[LogId], second: &[LogId]) -> Option<LogId> {
        self.taken = self.taken.wrapping_add(1);
        let second_first = self.taken.is_multiple_of(PREFERRED_TURNS);
        let class = usize::from(first.is_empty() || (second_first && !second.is_empty()));
        let logs = [first, second][class];
        let after = self.last[class];
        let next = logs
            .iter()
            .find(|log| after.is_none_or(|after| **log > after))
            .or_else(|| logs.first())
            .copied();
        self.last[class] = next;
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_take_turns_and_the_second_class_is_not_starved() {
        let log = |byte: u8| LogId::new([byte; 8], 0);
        let mut turns = Turns::default();
        let order: Vec<u8> = (0..8)
            .filter_map(|_| turns.next(&[log(1), log(2)], &[log(8), log(9)]))
            .map(|log| log.origin[0])
            .collect();
        assert_eq!(order, [1, 2, 1, 8, 2, 1, 2, 9]);
        assert_eq!(turns.next(&[], &[log(8)]), Some(log(8)));
        assert_eq!(turns.next(&[], &[]), None);
    }
}
