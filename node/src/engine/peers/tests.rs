//! Rows of invitations, moves of members, codes of refusals.

use super::*;

#[test]
fn an_invitation_row_comes_back_as_it_was_stored() {
    for redeemed_by in [None, Some(PeerId::from_bytes([4; 32]))] {
        let row = InvitationRow {
            territory: "frosinone/a".to_owned(),
            role: Role::District,
            expires_ms: 77,
            approved: true,
            redeemed_by,
        };
        assert_eq!(InvitationRow::decode(&row.encode()), Ok(row));
    }
}

#[test]
fn nothing_leads_out_of_revoked() {
    use MemberState::{Approved, Pending, Revoked, Suspended};
    for to in [Pending, Approved, Suspended] {
        assert!(!may_move(Revoked, to));
        assert!(!may_move(to, Pending));
    }
    assert!(
        may_move(Pending, Approved) && may_move(Approved, Revoked) && may_move(Suspended, Approved)
    );
}

#[test]
fn every_refusal_has_a_code_of_its_own() {
    for (refused, code) in REFUSALS {
        assert_eq!(refusal_of(code), refused);
    }
}
