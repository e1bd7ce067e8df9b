//! Invitations: one word to copy that lets one node ask to join.
//!
//! `rac1` ‖ base32 (lower case, no padding) of: coordination key 32 ‖ secret 16 ‖ expiry u64
//! (seconds since 1970) ‖ role u8 ‖ length u8, address ‖ length u8, territory ‖ CRC-32 of
//! all before. Big-endian. The check sum finds slips of copying, not malice: what the
//! invitation may open is decided by the coordination.

use std::fmt;

use data_encoding::BASE32_NOPAD;

use crate::settings::Role;
use crate::territory::Territory;

/// Longest life of an invitation, in seconds.
pub const LIFETIME_S_MAX: u64 = 7 * 24 * 60 * 60;

const PREFIX: &str = "rac1";

/// Longest text that is looked at, in characters.
const TEXT_CHARS_MAX: usize = 1024;

/// Longest address, in bytes.
const ADDRESS_BYTES_MAX: usize = 255;

/// What a coordination gives to a node that may ask to join.
#[derive(Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Public key of the coordination.
    pub coordination: [u8; 32],
    /// Where it is reached, `host:port`; at most 255 bytes.
    pub address: String,
    /// Whoever has it may redeem the invitation, once.
    pub secret: [u8; 16],
    /// Last second at which it may be redeemed, since 1970 UTC.
    pub expires_at_s: u64,
    /// The territory it is for.
    pub territory: Territory,
    /// The role it is for.
    pub role: Role,
}

/// Why a text is no invitation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadInvitation {
    /// It begins otherwise.
    #[error("an invitation begins with `{PREFIX}`: copy the whole line that `invite` printed")]
    Prefix,
    /// A character that invitations never have.
    #[error(
        "character {position} is not of an invitation, which has a-z and 2-7 only: copy it again"
    )]
    Character {
        /// Position from 1, the prefix counted.
        position: usize,
    },
    /// Characters are missing or too many.
    #[error("an invitation of {characters} characters was cut off or run together: copy it again")]
    Length {
        /// Characters seen.
        characters: usize,
    },
    /// The check sum does not match.
    #[error("the invitation was changed on its way, its check sum does not match: copy it again")]
    CheckSum,
    /// Copied well, but made by a version that says more than this one knows.
    #[error("the invitation is of a kind that this version does not know: update this node")]
    Unknown,
}

/// Why a text is no lifetime of an invitation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLifetime {
    /// Not a whole number and a unit.
    #[error("a whole number and s, m, h or d, for example 72h, is needed")]
    Form,
    /// Nothing or too much.
    #[error("lifetime of {seconds} s, 1 s to 7 d are allowed")]
    Bounds {
        /// Seconds meant.
        seconds: u64,
    },
}

/// Reads `90s`, `30m`, `72h` or `7d` as seconds; 1 s to 7 d.
pub fn parse_lifetime(text: &str) -> Result<u64, BadLifetime> {
    let unit = text.chars().next_back().ok_or(BadLifetime::Form)?;
    let factor: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(BadLifetime::Form),
    };
    let digits = &text[..text.len() - 1];
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BadLifetime::Form);
    }
    let count: u64 = digits.parse().unwrap_or(u64::MAX);
    let seconds = count.saturating_mul(factor);
    if (1..=LIFETIME_S_MAX).contains(&seconds) {
        Ok(seconds)
    } else {
        Err(BadLifetime::Bounds { seconds })
    }
}

impl Invitation {
    /// The expiry of an invitation made now, or `None` if it would live longer than 7 d.
    pub fn expiry(now_s: u64, lifetime_s: u64) -> Option<u64> {
        (1..=LIFETIME_S_MAX)
            .contains(&lifetime_s)
            .then(|| now_s.saturating_add(lifetime_s))
    }

    /// Whether it may no longer be redeemed.
    pub fn is_expired(&self, now_s: u64) -> bool {
        now_s > self.expires_at_s
    }

    /// The text to copy.
    pub fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(64 + self.address.len());
        bytes.extend_from_slice(&self.coordination);
        bytes.extend_from_slice(&self.secret);
        bytes.extend_from_slice(&self.expires_at_s.to_be_bytes());
        bytes.push(self.role.code());
        for text in [&self.address, self.territory.as_str()] {
            let text = &text.as_bytes()[..text.len().min(ADDRESS_BYTES_MAX)];
            bytes.push(u8::try_from(text.len()).expect("cut to 255 bytes just now"));
            bytes.extend_from_slice(text);
        }
        let check = crc32(&bytes);
        bytes.extend_from_slice(&check.to_be_bytes());
        format!(
            "{PREFIX}{}",
            BASE32_NOPAD.encode(&bytes).to_ascii_lowercase()
        )
    }

    /// Reads a copied text; white space around it and capitals do no harm.
    pub fn parse(text: &str) -> Result<Self, BadInvitation> {
        let text = text.trim();
        let characters = text.chars().count();
        if characters > TEXT_CHARS_MAX {
            return Err(BadInvitation::Length { characters });
        }
        let lower = text.to_ascii_lowercase();
        let body = lower.strip_prefix(PREFIX).ok_or(BadInvitation::Prefix)?;
        let is_stray = |character: char| !matches!(character, 'a'..='z' | '2'..='7');
        if let Some(position) = body.chars().position(is_stray) {
            let position = PREFIX.len() + position + 1;
            return Err(BadInvitation::Character { position });
        }
        let bytes = BASE32_NOPAD
            .decode(body.to_ascii_uppercase().as_bytes())
            .map_err(|_| BadInvitation::Length { characters })?;
        let (body, check) = bytes
            .split_last_chunk::<4>()
            .ok_or(BadInvitation::Length { characters })?;
        if crc32(body) != u32::from_be_bytes(*check) {
            return Err(BadInvitation::CheckSum);
        }
        fields(body).ok_or(BadInvitation::Unknown)
    }
}

impl fmt::Debug for Invitation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Invitation")
            .field("address", &self.address)
            .field("territory", &self.territory)
            .field("role", &self.role)
            .field("expires_at_s", &self.expires_at_s)
            .finish_non_exhaustive()
    }
}

fn fields(bytes: &[u8]) -> Option<Invitation> {
    let (coordination, rest) = bytes.split_first_chunk()?;
    let (secret, rest) = rest.split_first_chunk()?;
    let (expires_at_s, rest) = rest.split_first_chunk()?;
    let (role, rest) = rest.split_first()?;
    let (address, rest) = short_text(rest)?;
    let (territory, rest) = short_text(rest)?;
    let invitation = Invitation {
        coordination: *coordination,
        secret: *secret,
        expires_at_s: u64::from_be_bytes(*expires_at_s),
        role: Role::from_code(*role)?,
        address: address.to_owned(),
        territory: Territory::parse(territory).ok()?,
    };
    rest.is_empty().then_some(invitation)
}

fn short_text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked(usize::from(*length))?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

/// CRC-32 as of IEEE 802.3: finds every slip of up to three bits and every burst of up to 32.
fn crc32(bytes: &[u8]) -> u32 {
    let mut register = u32::MAX;
    for byte in bytes {
        register ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = register & 1;
            register >>= 1;
            if carry == 1 {
                register ^= 0xEDB8_8320;
            }
        }
    }
    !register
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invitation() -> Invitation {
        Invitation {
            coordination: [7; 32],
            address: "coordination.example.org:7440".to_owned(),
            secret: [9; 16],
            expires_at_s: 1_790_000_000,
            territory: Territory::parse("frosinone/a").unwrap(),
            role: Role::District,
        }
    }

    #[test]
    fn the_check_sum_is_that_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn the_text_is_as_promised() {
        let text = invitation().encode();
        assert_eq!(
            text,
            "rac1a4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqscijbeeqscijbeeqscijbeeqsaaaaaagvmj3qaab2y3pn5zgi2lomf2gs33ofzsxqylnobwgkltpojttunzugqyawztsn5zws3tpnzss6ylwhyri2"
        );
        assert!(text.len() < 200, "{} characters", text.len());
    }

    #[test]
    fn an_invitation_reads_back_however_it_was_copied() {
        let text = invitation().encode();
        for copied in [text.clone(), format!(" {text}\n"), text.to_uppercase()] {
            assert_eq!(Invitation::parse(&copied), Ok(invitation()));
        }
        let other = Invitation {
            role: Role::Coordination,
            address: "[::1]:1".to_owned(),
            ..invitation()
        };
        assert_eq!(Invitation::parse(&other.encode()), Ok(other));
    }

    #[test]
    fn every_slip_of_copying_is_found_out() {
        let text = invitation().encode();
        for position in 0..text.len() {
            for slip in ['a', '7', 'z', '1', '-', 'é'] {
                let mut copied: Vec<char> = text.chars().collect();
                if copied[position] == slip {
                    continue;
                }
                copied[position] = slip;
                let copied: String = copied.into_iter().collect();
                assert!(Invitation::parse(&copied).is_err(), "{position} {slip}");
            }
            assert!(
                Invitation::parse(&text[..position]).is_err(),
                "cut at {position}"
            );
            if position + 1 < text.len()
                && text.as_bytes()[position] != text.as_bytes()[position + 1]
            {
                let mut swapped = text.clone().into_bytes();
                swapped.swap(position, position + 1);
                assert!(Invitation::parse(std::str::from_utf8(&swapped).unwrap()).is_err());
            }
        }
    }

    #[test]
    fn each_slip_has_its_own_word() {
        let text = invitation().encode();
        let words = |copied: &str| Invitation::parse(copied).unwrap_err();
        assert_eq!(words("rac2abc"), BadInvitation::Prefix);
        assert_eq!(words(""), BadInvitation::Prefix);
        assert_eq!(words("rac1ab1c"), BadInvitation::Character { position: 7 });
        assert_eq!(words("rac1ab"), BadInvitation::Length { characters: 6 });
        assert_eq!(
            words(&text.replace("frosin", "")[..100]),
            words(&text[..100])
        );
        let long = format!("{text}{}", "a".repeat(1024));
        assert!(matches!(words(&long), BadInvitation::Length { .. }));
        let mut last = text.clone();
        last.replace_range(30..31, if &text[30..31] == "b" { "c" } else { "b" });
        assert_eq!(words(&last), BadInvitation::CheckSum);
    }

    #[test]
    fn an_invitation_lives_seven_days_at_most() {
        assert_eq!(
            Invitation::expiry(100, LIFETIME_S_MAX),
            Some(100 + LIFETIME_S_MAX)
        );
        assert_eq!(Invitation::expiry(100, LIFETIME_S_MAX + 1), None);
        assert_eq!(Invitation::expiry(100, 0), None);
        let invitation = invitation();
        assert!(!invitation.is_expired(invitation.expires_at_s));
        assert!(invitation.is_expired(invitation.expires_at_s + 1));
    }

    #[test]
    fn lifetimes_carry_their_unit() {
        for (text, seconds) in [
            ("90s", 90),
            ("30m", 1800),
            ("72h", 259_200),
            ("7d", 604_800),
        ] {
            assert_eq!(parse_lifetime(text), Ok(seconds));
        }
        for text in ["", "h", "72", "-1h", "+1h", "1.5h", "1h30m", "7é"] {
            assert_eq!(parse_lifetime(text), Err(BadLifetime::Form), "{text}");
        }
        for text in ["0s", "8d", "99999999999999999999h"] {
            assert!(
                matches!(parse_lifetime(text), Err(BadLifetime::Bounds { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn the_secret_is_never_printed() {
        assert!(!format!("{:?}", invitation()).contains("9, 9"));
    }
}
