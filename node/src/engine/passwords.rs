//! Passwords: what one must be, and how it is kept.
//!
//! Argon2id with 19 MiB, two passes and one lane, under a salt of its own, as a PHC string that
//! names its own parameters. Pure computation of some 20 ms: callers keep it off the writer's thread
//! and bound how many run at once.

use argon2::{Algorithm, Argon2, Params, Version};
use data_encoding::BASE64_NOPAD;
use zeroize::Zeroizing;

/// Memory of one hashing, in KiB.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const HASH_BYTES: usize = 32;
/// Shortest password, in characters.
pub(crate) const CHARS_MIN: usize = 12;
/// Longest password, in characters: more is only work.
pub(crate) const CHARS_MAX: usize = 256;

/// Passwords of twelve characters and more that attackers try first.
const COMMONEST: [&str; 40] = [
    "password1234",
    "password12345",
    "password123456",
    "passwordpassword",
    "password123!",
    "123456789012",
    "1234567890123",
    "12345678901234",
    "123456789abc",
    "qwertyuiop12",
    "qwertyuiop123",
    "qwertyuiopasdf",
    "qwertyqwerty",
    "qwerty123456",
    "asdfghjklqwerty",
    "1q2w3e4r5t6y",
    "1qaz2wsx3edc",
    "abcdefghijkl",
    "abc123abc123",
    "iloveyou1234",
    "administrator",
    "administrator1",
    "amministratore",
    "amministrazione",
    "welcome12345",
    "letmein12345",
    "changeme1234",
    "cambiami1234",
    "benvenuto123",
    "buongiorno123",
    "passwordsicura",
    "passwordsegreta",
    "parolachiave",
    "forzajuventus",
    "forzanapoli1",
    "juventus1897",
    "francesco123",
    "alessandro123",
    "serviziosociale",
    "raccordo1234",
];

/// Why a password is not taken, in one sentence; none if it is.
pub(crate) fn refused(password: &str) -> Option<String> {
    let length = password.chars().count();
    if !(CHARS_MIN..=CHARS_MAX).contains(&length) {
        return Some(format!(
            "the password has {length} characters: {CHARS_MIN} to {CHARS_MAX} are allowed, of any sort"
        ));
    }
    let folded = password.to_lowercase();
    let mut distinct: Vec<char> = folded.chars().collect();
    distinct.sort_unstable();
    distinct.dedup();
    if COMMONEST.contains(&folded.as_str()) || distinct.len() < 3 {
        let detail = "the password is one of those that are tried first: choose another, such as four words of your own";
        return Some(detail.to_owned());
    }
    None
}

/// The string under which a password is kept.
pub(crate) fn hash(password: &str, salt: [u8; 16]) -> String {
    let hash = derive(password.as_bytes(), &salt, MEMORY_KIB, PASSES, LANES)
        .expect("the parameters are in argon2's own limits");
    format!(
        "$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${}${}",
        BASE64_NOPAD.encode(&salt),
        BASE64_NOPAD.encode(&*hash)
    )
}

/// Whether a password is the one that was kept; one that cannot be read fits nothing.
pub(crate) fn fits(password: &str, kept: &str) -> bool {
    let Some(phc) = Phc::parse(kept) else {
        return false;
    };
    let derived = derive(
        password.as_bytes(),
        &phc.salt,
        phc.memory_kib,
        phc.passes,
        phc.lanes,
    );
    derived.is_some_and(|hash| {
        aws_lc_rs::constant_time::verify_slices_are_equal(&*hash, &phc.hash).is_ok()
    })
}

/// Takes as long as [`fits`] and fits nothing: for names that nobody has.
pub(crate) fn fits_nobody(password: &str) -> bool {
    let derived = derive(password.as_bytes(), &[0; 16], MEMORY_KIB, PASSES, LANES);
    drop(std::hint::black_box(derived));
    false
}

/// What a kept string says.
struct Phc {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Phc {
    fn parse(kept: &str) -> Option<Self> {
        let mut parts = kept.strip_prefix("$argon2id$v=19$")?.split('$');
        let mut numbers = parts.next()?.split(',');
        let mut number = |name: &str| numbers.next()?.strip_prefix(name)?.parse().ok();
        let (memory_kib, passes, lanes) = (number("m=")?, number("t=")?, number("p=")?);
        let mut bytes = || BASE64_NOPAD.decode(parts.next()?.as_bytes()).ok();
        Some(Self {
            memory_kib,
            passes,
            lanes,
            salt: bytes()?,
            hash: bytes()?,
        })
    }
}

fn derive(
    password: &[u8],
    salt: &[u8],
    memory_kib: u32,
    passes: u32,
    lanes: u32,
) -> Option<Zeroizing<[u8; HASH_BYTES]>> {
    let params = Params::new(memory_kib, passes, lanes, Some(HASH_BYTES)).ok()?;
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut hash = Zeroizing::new([0; HASH_BYTES]);
    argon.hash_password_into(password, salt, &mut *hash).ok()?;
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_fits_what_was_kept_of_it_and_nothing_else_does() {
        let kept = hash("quattro parole mie", [7; 16]);
        assert!(
            kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{kept}"
        );
        assert!(fits("quattro parole mie", &kept));
        assert!(!fits("quattro parole Mie", &kept));
        assert!(!fits("", &kept));
        assert!(!fits("quattro parole mie", &kept[..kept.len() - 1]));
        assert!(!fits("quattro parole mie", ""));
        assert_ne!(
            kept,
            hash("quattro parole mie", [8; 16]),
            "each has its own salt"
        );
        assert!(!fits_nobody("quattro parole mie"));
    }

    #[test]
    fn a_known_answer_of_argon2id_comes_out_with_these_parameters() {
        // A test vector of the reference implementation.
        let derived = derive(b"password", b"somesalt", 65_536, 2, 1).unwrap();
        let wanted = "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7";
        assert_eq!(data_encoding::HEXLOWER.encode(&*derived), wanted);
    }

    #[test]
    fn length_and_the_commonest_are_all_that_is_asked() {
        assert!(refused("undici-lett").unwrap().contains("11 characters"));
        assert!(refused("tutte minuscole qui").is_none());
        assert!(
            refused("èèìòàùéçèìòà").is_none(),
            "characters count, not bytes"
        );
        for common in COMMONEST {
            assert!(
                common.chars().count() >= CHARS_MIN,
                "{common} is refused by its length already"
            );
            assert!(refused(&common.to_uppercase()).is_some(), "{common}");
        }
        assert!(refused("aaaaaaaaaaaaaa").is_some() && refused("ababababababab").is_some());
        assert!(refused(&"lungo ".repeat(60)).is_some());
    }
}
