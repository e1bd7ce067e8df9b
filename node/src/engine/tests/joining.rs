//! Who asks for membership a second time.

use raccordo_config::Role;
use raccordo_transport::{JoinRequest, PeerId};

use super::super::draft::Draft;
use super::super::peers::{self, InvitationRow, PeerCommand};
use super::super::task::Done;
use super::super::view::{CommandFailed, MemberState};
use super::{Bench, commit};

fn asks(bench: &Bench, invitation: u8, key: u8, territory: &str) -> Result<MemberState, String> {
    let mut draft = Draft::new(&bench.core);
    let request = JoinRequest {
        real: PeerId::from_bytes([key; 32]),
        name: "Anagni".to_owned(),
        territory: territory.to_owned(),
        role: 0,
    };
    let one_time = PeerId::from_bytes([invitation; 32]);
    let asked = peers::execute(
        &mut draft,
        PeerCommand::Redeem { one_time, request },
        "administrator",
    );
    commit::commit(draft).unwrap();
    match asked {
        Ok(Done::Member(member)) => Ok(member.state),
        Err(CommandFailed::Peer { code, .. }) => Err(code.to_owned()),
        other => Err(format!("{other:?}")),
    }
}

fn invites(bench: &Bench, invitation: u8, territory: &str) {
    let mut draft = Draft::new(&bench.core);
    let row = InvitationRow {
        territory: territory.to_owned(),
        role: Role::District,
        expires_ms: i64::MAX,
        approved: true,
        redeemed_by: None,
    };
    let one_time = PeerId::from_bytes([invitation; 32]);
    let invite = PeerCommand::Invite {
        one_time,
        invitation: row,
    };
    peers::execute(&mut draft, invite, "administrator").unwrap();
    commit::commit(draft).unwrap();
}

#[test]
fn a_member_that_lost_the_answer_hears_it_again_with_any_invitation_that_fits() {
    let bench = Bench::coordination(&[]);
    for (invitation, territory) in [(1, "frosinone/a"), (2, "frosinone/a"), (3, "frosinone/b")] {
        invites(&bench, invitation, territory);
    }
    let approved = Ok(MemberState::Approved);
    assert_eq!(asks(&bench, 1, 9, "frosinone/a"), approved);
    assert_eq!(asks(&bench, 1, 9, "frosinone/a"), approved);
    assert_eq!(asks(&bench, 2, 9, "frosinone/a"), approved);
    // Of another territory it is no second member.
    let taken = Err("key_taken".to_owned());
    assert_eq!(asks(&bench, 3, 9, "frosinone/b"), taken);
    // What it did not use is there for somebody else, once.
    assert_eq!(asks(&bench, 2, 8, "frosinone/a"), approved);
    let used = Err("invitation_used".to_owned());
    assert_eq!(asks(&bench, 2, 7, "frosinone/a"), used);
}
