//! Texts that people bring: a configuration file, an invitation.
//!
//! The first byte of an input says which.

use raccordo_config::{InitialSettings, Invitation, Role, StoreEngine, Territory};
use raccordo_tests::chance::Chance;

use crate::mutate::scramble;
use crate::target::{Answer, Target};

/// The door of configurations and invitations.
pub(crate) struct Texts;

const FILE: u8 = 0;
const INVITATION: u8 = 1;

impl Target for Texts {
    fn name(&self) -> &'static str {
        "config"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let mut chance = Chance::new(0);
        (0..8).map(|_| seed(&mut chance)).collect()
    }

    fn input(&self, chance: &mut Chance) -> Vec<u8> {
        let mut input = seed(chance);
        let mut text = input.split_off(1);
        if input[0] == FILE && chance.percent(70) {
            line(chance, &mut text);
        } else {
            scramble(chance, &mut text);
        }
        input.extend(text);
        input
    }

    fn feed(&self, input: &[u8]) -> Answer<'_> {
        let Some((which, text)) = input.split_first() else {
            return Answer::Refused("no text".to_owned());
        };
        let Ok(text) = std::str::from_utf8(text) else {
            return Answer::Refused("not UTF-8".to_owned());
        };
        if *which == INVITATION {
            return match Invitation::parse(text) {
                Err(bad) => Answer::Refused(bad.to_string()),
                Ok(invitation) => Answer::is_in(move || {
                    let again = Invitation::parse(&invitation.encode());
                    let same = again.is_ok_and(|again| again.encode() == invitation.encode());
                    same.then_some(()).ok_or("it reads as another".to_owned())
                }),
            };
        }
        match raccordo_config::check(text) {
            Err(problems) if problems.is_empty() => {
                Answer::is_in(|| Err("refused without a reason".to_owned()))
            }
            Err(problems) => {
                Answer::Refused(format!("{:?}", problems[0]).chars().take(40).collect())
            }
            Ok(config) => {
                let text = text.to_owned();
                Answer::is_in(move || match raccordo_config::check(&text) {
                    Ok(again) if raccordo_config::changes(&config, &again).is_empty() => Ok(()),
                    _ => Err("read again it is another".to_owned()),
                })
            }
        }
    }
}

fn seed(chance: &mut Chance) -> Vec<u8> {
    let territory = *chance.pick(&["frosinone", "frosinone/a"]);
    let territory = Territory::parse(territory).expect("a path of words");
    let role = *chance.pick(&[Role::District, Role::Coordination]);
    if chance.percent(50) {
        let invitation = Invitation {
            coordination: crate::wire::bytes(chance),
            secret: crate::wire::bytes(chance),
            expires_at_s: chance.number(),
            role,
            address: "[::1]:7400".to_owned(),
            territory,
        };
        return [&[INVITATION], invitation.encode().as_bytes()].concat();
    }
    let nowhere = "127.0.0.1:0".parse().expect("an address");
    let settings = InitialSettings {
        name: territory.to_string(),
        territory,
        role,
        listen: nowhere,
        http: nowhere,
        advertise: chance.percent(50).then(|| "127.0.0.1:1".to_owned()),
        engine: StoreEngine::Sled,
    };
    [&[FILE], raccordo_config::template(&settings).as_bytes()].concat()
}

/// Alters one line that sets a key, often one that shows a default.
fn line(chance: &mut Chance, text: &mut Vec<u8>) {
    let whole = String::from_utf8_lossy(text).into_owned();
    let mut lines: Vec<String> = whole.lines().map(str::to_owned).collect();
    let keys: Vec<usize> = (0..lines.len())
        .filter(|at| lines[*at].contains(" = "))
        .collect();
    let Some(at) = (!keys.is_empty()).then(|| *chance.pick(&keys)) else {
        return;
    };
    let bare = lines[at].trim_start_matches("# ").to_owned();
    let (name, value) = bare.split_once(" = ").unwrap_or((&bare, ""));
    lines[at] = match chance.index(6) {
        0 => format!("{name} = {}", crate::mutate::number(chance, 1_000)),
        1 => format!("{name} = -1"),
        2 => format!("{name} = [{value}, {value}]"),
        3 => format!("{name} = \"{}\"", "x".repeat(chance.index(3_000))),
        4 => {
            let mut bytes = bare.clone().into_bytes();
            scramble(chance, &mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        }
        _ => bare.clone(),
    };
    *text = lines.join("\n").into_bytes();
}
