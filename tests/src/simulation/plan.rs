//! What a seed stands for: how large the world is, what people do in it and what goes wrong.
//!
//! Everything is drawn before the world begins, each act with chance of its own, so that leaving
//! some acts out leaves the others as they were.

use raccordo_config::Role;
use raccordo_node::store::{Moment, Unsynced};

use crate::chance::Chance;

/// Most acts of a world, if not asked otherwise.
pub const ACTS_MAX: usize = 80;

/// In how many of a hundred worlds projects are offered, if it has two districts.
const PASSAGES_PERCENT: u64 = 60;

/// A world and what happens in it.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Places by number: 0 is the coordination.
    pub seats: Vec<Seat>,
    /// How long the slowest frames take, in milliseconds.
    pub delay_ms: u64,
    /// Bytes that wait in a log's inbox.
    pub inbox_bytes: usize,
    /// Documents that a node keeps in memory.
    pub cache: u32,
    /// Most entries that one read gives.
    pub read_entries: usize,
    /// When what goes wrong is over.
    pub calm_ms: u64,
    /// What happens, in order.
    pub acts: Vec<Planned>,
}

/// Whose node stands at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// Its territory's path.
    pub territory: String,
    /// What it is.
    pub role: Role,
    /// The place at which it joins.
    pub above: Option<usize>,
    /// Whether a member with a program and intentions of its own stands there.
    pub scripted: bool,
}

/// An act at its time.
#[derive(Debug, Clone, Copy)]
pub struct Planned {
    /// When.
    pub at_ms: u64,
    /// Chance of its own.
    pub seed: u64,
    /// What.
    pub act: Act,
}

/// What people do and what goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// A node asks for membership; an administrator has approved it beforehand, or will have to.
    Join { place: usize, approved: bool },
    /// The administrator of a place approves whoever waits there.
    Approve { at: usize },
    /// An administrator puts a member on hold.
    Suspend { at: usize, place: usize },
    /// An administrator lets it back.
    Resume { at: usize, place: usize },
    /// An administrator ends a membership.
    Revoke { at: usize, place: usize },
    /// Somebody creates a record.
    Create { place: usize },
    /// Somebody changes a record.
    Change { place: usize },
    /// An office imports a file.
    Import { place: usize },
    /// A record is erased for good.
    Erase { place: usize },
    /// A process is killed.
    Crash { place: usize },
    /// The power fails at a moment of the next commit.
    PowerCut {
        place: usize,
        moment: Moment,
        unsynced: Unsynced,
    },
    /// The next flush fails.
    FlushFails { place: usize, unsynced: Unsynced },
    /// The disk is full for a while.
    DiskFull { place: usize, for_ms: u64 },
    /// The machine's clock jumps.
    ClockJump { place: usize, by_ms: i64 },
    /// The machine is slow from now on.
    Slow { place: usize, by_ms: u64 },
    /// A connection is lost.
    LinkLost { place: usize },
    /// Nothing passes from one place to another for a while; nor back, if both ways.
    WayCut {
        from: usize,
        to: usize,
        both: bool,
        for_ms: u64,
    },
    /// A node dials although it is connected.
    DialTwice { place: usize },
    /// A peer's next data frame is not what its program would send.
    Bend { place: usize },
    /// From now on a peer's program bends what it sends, now and then.
    Hostile { place: usize },
    /// An older copy of a disk is put back, after so long.
    Restore { place: usize, after_ms: u64 },
    /// A machine is copied and the copy started beside it, for a while.
    Copy { place: usize, for_ms: u64 },
    /// A stored record is damaged on the disk.
    Damage { place: usize },
    /// A member with a program of its own does a command of several entries.
    Group { place: usize },
    /// It writes what it may not.
    Offend { place: usize },
    /// Somebody offers a project to another district.
    Offer { place: usize, to: usize },
    /// Somebody accepts or refuses an offer; where there is none yet, looks again so many times.
    Answer { place: usize, looks: u32 },
    /// Somebody asks for a project back.
    Withdraw { place: usize },
}

impl Act {
    /// Every kind of act.
    pub const NAMES: [&str; 29] = [
        "ask for membership",
        "approve a member",
        "put a member on hold",
        "let a member in again",
        "revoke a member",
        "create a record",
        "change a record",
        "import a file",
        "erase a record",
        "kill a process",
        "cut the power at a moment of a commit",
        "let a flush fail",
        "fill a disk",
        "set a clock",
        "slow a machine down",
        "lose a connection",
        "cut a way",
        "cut both ways",
        "dial twice",
        "bend what is sent",
        "turn a peer hostile",
        "put an older disk back",
        "copy a machine and start it twice",
        "damage a stored record",
        "write a command of several entries",
        "write what is not allowed",
        "offer a project to another district",
        "answer an offer",
        "withdraw an offer",
    ];

    /// Which kind it is of.
    pub const fn name(self) -> &'static str {
        let kind = match self {
            Self::Join { .. } => 0,
            Self::Approve { .. } => 1,
            Self::Suspend { .. } => 2,
            Self::Resume { .. } => 3,
            Self::Revoke { .. } => 4,
            Self::Create { .. } => 5,
            Self::Change { .. } => 6,
            Self::Import { .. } => 7,
            Self::Erase { .. } => 8,
            Self::Crash { .. } => 9,
            Self::PowerCut { .. } => 10,
            Self::FlushFails { .. } => 11,
            Self::DiskFull { .. } => 12,
            Self::ClockJump { .. } => 13,
            Self::Slow { .. } => 14,
            Self::LinkLost { .. } => 15,
            Self::WayCut { both: false, .. } => 16,
            Self::WayCut { both: true, .. } => 17,
            Self::DialTwice { .. } => 18,
            Self::Bend { .. } => 19,
            Self::Hostile { .. } => 20,
            Self::Restore { .. } => 21,
            Self::Copy { .. } => 22,
            Self::Damage { .. } => 23,
            Self::Group { .. } => 24,
            Self::Offend { .. } => 25,
            Self::Offer { .. } => 26,
            Self::Answer { .. } => 27,
            Self::Withdraw { .. } => 28,
        };
        Self::NAMES[kind]
    }
}

impl Plan {
    /// What a seed stands for, with at most so many acts.
    pub fn of(seed: u64, acts_max: usize) -> Self {
        let mut chance = Chance::new(seed ^ 0x51A7_E0F5_EED5);
        let large = chance.percent(6);
        let calm_ms = chance.between(4_000, 45_000);
        let mut plan = Self {
            seats: seats(&mut chance, large),
            delay_ms: *chance.pick(&[2, 10, 60, 400]),
            inbox_bytes: *chance.pick(&[8 << 10, 16 << 10, 64 << 10, 1 << 20]),
            cache: u32::try_from(*chance.pick(&[1_usize, 3, 100])).unwrap_or(1),
            read_entries: *chance.pick(&[1, 2, 3, 256]),
            calm_ms,
            acts: Vec::new(),
        };
        let trouble = *chance.pick(&[0, 15, 40]);
        plan.join_all(&mut chance);
        let count = if large {
            chance.between(25, 60)
        } else {
            chance.between(8, 26)
        };
        for _ in 0..count {
            let act = plan.draw(&mut chance, trouble);
            plan.add(&mut chance, act);
        }
        plan.late_word(&mut chance);
        plan.passages(&mut chance, trouble);
        plan.acts.sort_by_key(|planned| planned.at_ms);
        plan.acts.truncate(acts_max);
        plan
    }

    fn join_all(&mut self, chance: &mut Chance) {
        for place in 0..self.seats.len() {
            let Some(at) = self.seats[place].above else {
                continue;
            };
            let late = chance.percent(20);
            let at_ms = if late {
                chance.between(0, self.calm_ms)
            } else {
                0
            };
            let approved = chance.percent(75);
            let seed = chance.number();
            let act = Act::Join { place, approved };
            self.acts.push(Planned { at_ms, seed, act });
            if !approved {
                let at_ms = at_ms + chance.between(200, 6_000);
                let seed = chance.number();
                let act = Act::Approve { at };
                self.acts.push(Planned { at_ms, seed, act });
            }
        }
    }

    fn add(&mut self, chance: &mut Chance, act: Act) {
        let at_ms = chance.between(300, self.calm_ms);
        let seed = chance.number();
        self.acts.push(Planned { at_ms, seed, act });
    }

    fn draw(&self, chance: &mut Chance, trouble: u64) -> Act {
        if chance.percent(trouble) {
            return self.trouble(chance);
        }
        let place = chance.index(self.seats.len());
        if self.seats[place].scripted {
            return if chance.percent(25) {
                Act::Offend { place }
            } else {
                Act::Group { place }
            };
        }
        let writes = match self.seats[place].role {
            Role::District => place,
            Role::Coordination if chance.percent(20) => place,
            Role::Coordination => self.office(chance),
        };
        let place = writes;
        match chance.number() % 100 {
            0..33 => Act::Create { place },
            33..88 => Act::Change { place },
            88..94 => Act::Import { place },
            94..96 => Act::Erase { place },
            _ => self.decision(chance),
        }
    }

    /// A second node of a district is put on hold or revoked from above, and writes on through its
    /// office, which hears of it late: the way down is cut, the way up is open.
    fn late_word(&mut self, chance: &mut Chance) {
        let seconds = self.seats.iter().enumerate().filter_map(|(place, seat)| {
            let office = seat.above?;
            let at = self.seats[office].above?;
            (seat.role == Role::District).then_some((place, office, at))
        });
        let seconds: Vec<(usize, usize, usize)> = seconds.collect();
        if seconds.is_empty() || !chance.percent(50) {
            return;
        }
        let (place, office, at) = *chance.pick(&seconds);
        let decision = if chance.percent(50) {
            Act::Suspend { at, place }
        } else {
            Act::Revoke { at, place }
        };
        let cut = Act::WayCut {
            from: at,
            to: office,
            both: false,
            for_ms: chance.between(5_000, 60_000),
        };
        let at_ms = chance.between(300, self.calm_ms);
        let create = Act::Create { place };
        let scene = [(0, cut), (5, decision), (1_000, create), (2_500, create)];
        for (later_ms, act) in scene {
            let (at_ms, seed) = (at_ms + later_ms, chance.number());
            self.acts.push(Planned { at_ms, seed, act });
        }
    }

    /// Projects are offered to other districts; who answers, and who asks for them back, may do so at
    /// the same time, and the same may be offered onward.
    fn passages(&mut self, chance: &mut Chance, trouble: u64) {
        let seats = self.seats.iter().enumerate();
        let of_district = seats.filter(|(_, seat)| seat.role == Role::District && !seat.scripted);
        let nodes: Vec<usize> = of_district.map(|(place, _)| place).collect();
        if !chance.percent(PASSAGES_PERCENT) {
            return;
        }
        for _ in 0..chance.between(1, 3) {
            let place = *chance.pick(&nodes);
            let others = nodes.iter().copied();
            let home = &self.seats[place].territory;
            let others: Vec<usize> = others
                .filter(|other| self.seats[*other].territory != *home)
                .collect();
            if others.is_empty() {
                return;
            }
            let to = *chance.pick(&others);
            let mut scene = vec![(0, Act::Offer { place, to })];
            let later = |chance: &mut Chance| chance.between(50, 9_000);
            let looks = 6;
            if chance.percent(80) {
                scene.push((later(chance), Act::Answer { place: to, looks }));
            }
            if chance.percent(35) {
                let place = *chance.pick(&others);
                scene.push((later(chance), Act::Answer { place, looks }));
            }
            if chance.percent(40) {
                scene.push((later(chance), Act::Withdraw { place }));
            }
            if let Some(above) = self.seats[to].above.filter(|_| chance.percent(20)) {
                // What is answered is on its way while the other side goes on.
                let cut = Act::WayCut {
                    from: to,
                    to: above,
                    both: false,
                    for_ms: chance.between(2_000, 30_000),
                };
                scene.push((later(chance), cut));
            }
            if chance.percent(25) {
                let (place, to) = (to, *chance.pick(&nodes));
                scene.push((2 * later(chance), Act::Offer { place, to }));
            }
            if trouble > 0 && chance.percent(60) {
                scene.push((later(chance), self.trouble(chance)));
            }
            let at_ms = chance.between(1_000, self.calm_ms);
            for (later_ms, act) in scene {
                let (at_ms, seed) = (at_ms + later_ms, chance.number());
                self.acts.push(Planned { at_ms, seed, act });
            }
        }
    }

    fn office(&self, chance: &mut Chance) -> usize {
        let district = |place: &usize| {
            let seat = &self.seats[*place];
            seat.role == Role::District && !seat.scripted
        };
        let offices: Vec<usize> = (0..self.seats.len()).filter(district).collect();
        *chance.pick(&offices)
    }

    fn decision(&self, chance: &mut Chance) -> Act {
        let (place, above) = self.edge(chance);
        // Who took a member in decides about it, and so does whoever is above.
        let further = self.seats[above].above.filter(|_| chance.percent(35));
        let at = further.unwrap_or(above);
        match chance.number() % 4 {
            0 => Act::Approve { at },
            1 => Act::Suspend { at, place },
            2 => Act::Resume { at, place },
            _ => Act::Revoke { at, place },
        }
    }

    /// A place and the one at which it joins.
    fn edge(&self, chance: &mut Chance) -> (usize, usize) {
        let edges = self.seats.iter().enumerate();
        let edges: Vec<(usize, usize)> = edges
            .filter_map(|(place, seat)| Some((place, seat.above?)))
            .collect();
        *chance.pick(&edges)
    }

    fn trouble(&self, chance: &mut Chance) -> Act {
        let place = chance.index(self.seats.len());
        let (below, above) = self.edge(chance);
        let unsynced = *chance.pick(&[Unsynced::Lost, Unsynced::Kept, Unsynced::Torn]);
        match chance.number() % 100 {
            0..16 => Act::Crash { place },
            16..27 => Act::PowerCut {
                place,
                moment: *chance.pick(&Moment::ALL),
                unsynced,
            },
            27..34 => Act::FlushFails { place, unsynced },
            34..41 => Act::DiskFull {
                place: if chance.percent(50) { above } else { place },
                for_ms: chance.between(100, 8_000),
            },
            41..45 => Act::ClockJump {
                place,
                by_ms: *chance.pick(&[-86_400_000, -3_000, 3_000, 86_400_000]),
            },
            45..48 => Act::Slow {
                place,
                by_ms: chance.between(20, 2_000),
            },
            48..55 => Act::LinkLost { place: below },
            55..66 => {
                let down = chance.percent(50);
                Act::WayCut {
                    from: if down { above } else { below },
                    to: if down { below } else { above },
                    both: chance.percent(40),
                    for_ms: chance.between(500, 60_000),
                }
            }
            66..68 => Act::DialTwice { place: below },
            68..73 => self.decision(chance),
            73..81 => Act::Restore {
                place: below,
                after_ms: chance.between(500, 15_000),
            },
            81..84 => Act::Copy {
                place: below,
                for_ms: chance.between(5_000, 40_000),
            },
            84..89 => Act::Damage { place },
            89..92 => Act::Hostile { place },
            _ => Act::Bend { place },
        }
    }
}

/// A coordination, its districts, now and then a second node of a district and a region above.
fn seats(chance: &mut Chance, large: bool) -> Vec<Seat> {
    let region = chance.percent(if large { 40 } else { 8 });
    let province = if region {
        "lazio/frosinone"
    } else {
        "frosinone"
    };
    let mut seats = vec![Seat {
        territory: province.to_owned(),
        role: Role::Coordination,
        above: None,
        scripted: false,
    }];
    let districts = if large {
        chance.between(2, 4)
    } else {
        chance.between(1, 2)
    };
    for number in 1..=districts {
        seats.push(Seat {
            territory: format!("{province}/d{number}"),
            role: Role::District,
            above: Some(0),
            scripted: false,
        });
        let office = seats.len() - 1;
        if chance.percent(25) {
            seats.push(Seat {
                above: Some(office),
                ..seats[office].clone()
            });
        }
    }
    if chance.percent(35) {
        seats.push(Seat {
            territory: format!("{province}/other"),
            role: Role::District,
            above: Some(0),
            scripted: true,
        });
    }
    if region {
        let above = seats.len();
        seats[0].above = Some(above);
        seats.push(Seat {
            territory: "lazio".to_owned(),
            role: Role::Coordination,
            above: None,
            scripted: false,
        });
    }
    seats
}
