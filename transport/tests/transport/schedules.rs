//! Whatever happens in whatever order, healed ends hold the same.

use proptest::prelude::*;
use raccordo_transport::{StopCode, Stopped};

use crate::pair::{Durability, Pair};
use crate::session_pair::approved;
use crate::support::Author;

#[derive(Debug, Clone)]
enum Step {
    Write {
        side: usize,
        count: usize,
    },
    WriteSecond {
        side: usize,
        count: usize,
    },
    /// Entries of a third come to one side from elsewhere.
    Hold {
        side: usize,
        log: usize,
        count: usize,
    },
    Stop {
        side: usize,
        log: usize,
    },
    Resume {
        side: usize,
    },
    Narrow {
        side: usize,
        log: usize,
    },
    Widen {
        side: usize,
    },
    Slow {
        side: usize,
    },
    Store {
        side: usize,
    },
    /// What was taken and is not durable is lost.
    Lose {
        side: usize,
    },
    Cut,
    Run {
        ms: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let side = 0_usize..2;
    prop_oneof![
        4 => (side.clone(), 1_usize..40).prop_map(|(side, count)| Step::Write { side, count }),
        2 => (side.clone(), 1_usize..9).prop_map(|(side, count)| Step::WriteSecond { side, count }),
        4 => (side.clone(), 0_usize..3, 1_usize..60)
            .prop_map(|(side, log, count)| Step::Hold { side, log, count }),
        2 => (side.clone(), 0_usize..4).prop_map(|(side, log)| Step::Stop { side, log }),
        2 => side.clone().prop_map(|side| Step::Resume { side }),
        1 => (side.clone(), 0_usize..3).prop_map(|(side, log)| Step::Narrow { side, log }),
        1 => side.clone().prop_map(|side| Step::Widen { side }),
        1 => side.clone().prop_map(|side| Step::Slow { side }),
        2 => side.clone().prop_map(|side| Step::Store { side }),
        1 => side.prop_map(|side| Step::Lose { side }),
        1 => Just(Step::Cut),
        8 => (1_u64..400).prop_map(|ms| Step::Run { ms }),
    ]
}

struct World {
    pair: Pair,
    thirds: Vec<Author>,
}

impl World {
    fn new() -> Self {
        let mut pair = approved();
        let mut thirds: Vec<Author> = (60..63).map(|seed| Author::new(seed, 1)).collect();
        for author in &mut thirds {
            author.write_many(60);
        }
        for (index, end) in pair.ends.iter_mut().enumerate() {
            end.node.relays = true;
            end.node.read_entries_max = 7;
            end.node.second = Some(Author::new(u8::try_from(index).unwrap() + 1, 2));
            for author in &thirds {
                end.node.meet(&author.key.public());
            }
        }
        pair.connect();
        Self { pair, thirds }
    }

    fn act(&mut self, step: &Step) {
        let pair = &mut self.pair;
        match *step {
            Step::Write { side, count } => {
                pair.ends[side].node.author.write_many(count);
                pair.tick(side);
            }
            Step::WriteSecond { side, count } => {
                let second = pair.ends[side].node.second.as_mut().unwrap();
                second.write_many(count);
                pair.tick(side);
            }
            Step::Hold { side, log, count } => {
                pair.ends[side].node.hold(&self.thirds[log], count);
                pair.tick(side);
            }
            Step::Stop { side, log } => {
                let log = match self.thirds.get(log) {
                    Some(author) => author.log,
                    None => pair.ends[1 - side].node.author.log,
                };
                let cursor = pair.ends[side].node.end(log);
                pair.ends[side].node.stopped.push(Stopped {
                    cursor,
                    code: StopCode::Waiting,
                    detail: String::new(),
                });
                pair.tick(side);
            }
            Step::Resume { side } => {
                pair.ends[side].node.stopped.clear();
                pair.tick(side);
            }
            Step::Narrow { side, log } => {
                let log = self.thirds[log].log;
                pair.ends[side].node.narrowed.insert(log);
                pair.tick(side);
            }
            Step::Widen { side } => {
                pair.ends[side].node.narrowed.clear();
                pair.tick(side);
            }
            Step::Slow { side } => pair.ends[side].durability = Durability::ByHand,
            Step::Store { side } => pair.store(side),
            Step::Lose { side } => pair.ends[side].node.taken.clear(),
            Step::Cut => {
                for end in &mut pair.ends {
                    end.node.taken.clear();
                }
                pair.connect();
            }
            Step::Run { ms } => pair.run(ms),
        }
    }

    /// Nothing hinders any more; no new connection is made.
    fn heal(&mut self) {
        for side in 0..2 {
            let end = &mut self.pair.ends[side];
            end.durability = Durability::AtOnce;
            end.node.stopped.clear();
            end.node.narrowed.clear();
            self.pair.store(side);
            self.pair.tick(side);
        }
        self.pair.run(400_000);
    }
}

proptest! {
    #[test]
    fn healed_ends_hold_the_same_entries_and_know_it(steps in prop::collection::vec(step(), 1..40)) {
        let mut world = World::new();
        for step in &steps {
            world.act(step);
            for end in &world.pair.ends {
                prop_assert_eq!(&end.closed, &None, "after {:?}", step);
                prop_assert!(end.rollbacks().is_empty());
                prop_assert!(end.evidence().is_empty());
            }
        }
        world.heal();
        let [left, right] = &world.pair.ends;
        prop_assert!(right.node.holds(&left.node.author));
        prop_assert!(left.node.holds(&right.node.author));
        prop_assert!(right.node.holds(left.node.second.as_ref().unwrap()));
        prop_assert!(left.node.holds(right.node.second.as_ref().unwrap()));
        for author in &world.thirds {
            let ends = [left.node.end(author.log), right.node.end(author.log)];
            prop_assert_eq!(ends[0], ends[1], "{:?}", steps);
        }
        prop_assert!(left.compared().last() == Some(&true));
        prop_assert!(right.compared().last() == Some(&true));
    }

    #[test]
    fn an_owner_rolled_back_to_anywhere_gets_everything_back(
        kept in 0_usize..30,
        differently in 0_usize..20,
        connected in any::<bool>(),
        slow in 1_usize..8,
    ) {
        let mut pair = approved();
        pair.ends[0].node.author.write_many(30);
        pair.ends[1].node.read_entries_max = slow;
        pair.connect();
        pair.run(2_000);
        let whole = pair.ends[0].node.author.entries.clone();
        let author = &mut pair.ends[0].node.author;
        author.entries.truncate(kept);
        for number in 0..differently {
            author.write(crate::support::body(5_000 + number as u64, 40));
        }
        let cursor = crate::support::cursor_at(author.log, &author.entries[..kept]);
        if connected {
            pair.connect();
            pair.run(500);
            pair.ends[0].node.recover = vec![cursor];
            pair.tick(0);
        } else {
            pair.ends[0].node.recover = vec![cursor];
            pair.connect();
        }
        pair.run(3_000);
        prop_assert_eq!(&pair.ends[0].node.author.entries, &whole);
        pair.ends[0].node.recover.clear();
        pair.ends[0].node.author.write_many(3);
        pair.tick(0);
        pair.run(3_000);
        prop_assert!(pair.ends[1].node.holds(&pair.ends[0].node.author));
        prop_assert!(pair.ends[0].compared().last() == Some(&true));
        prop_assert_eq!(&pair.ends[0].closed, &None);
        prop_assert_eq!(&pair.ends[1].closed, &None);
    }
}
