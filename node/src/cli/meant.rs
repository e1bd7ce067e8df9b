//! From words as typed to values as meant; what cannot be meant is wrong usage (status 2).

use raccordo_config::{Role, StoreEngine, Territory};
use raccordo_crdt_model::Kind;

/// Longest life of an invitation, in seconds: seven days.
const EXPIRY_SECONDS_MAX: u64 = 7 * 24 * 3600;

/// Fewest digits of an id that a command takes.
const ID_DIGITS_MIN: usize = 8;

/// `frosinone/a`
pub(super) fn territory(text: &str) -> Result<Territory, String> {
    Territory::parse(text).map_err(|problem| problem.to_string())
}

/// `district` or `coordination`
pub(super) fn role(text: &str) -> Result<Role, String> {
    Role::from_name(text)
        .ok_or_else(|| format!("known roles: {}", Role::ALL.map(Role::name).join(", ")))
}

/// `sled` or `redb`
pub(super) fn store_engine(text: &str) -> Result<StoreEngine, String> {
    let known = StoreEngine::ALL.map(StoreEngine::name).join(", ");
    StoreEngine::from_name(text).ok_or_else(|| format!("known engines: {known}"))
}

/// `project` or `projects`, and so on
pub(super) fn kind(text: &str) -> Result<Kind, String> {
    Kind::from_singular(text)
        .or_else(|| Kind::from_plural(text))
        .ok_or_else(|| {
            let known = Kind::all().map(Kind::singular).join(", ");
            format!("no such kind of record; known: {known}")
        })
}

/// `90s`, `30m`, `72h` or `7d`, in seconds; at least one, at most seven days.
pub(super) fn expiry(text: &str) -> Result<u64, String> {
    let allowed = "a whole number and s, m, h or d, for example 72h; at most 7d";
    let (digits, unit) = text.split_at(text.len() - text.chars().last().map_or(0, char::len_utf8));
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return Err(allowed.to_owned()),
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|count| count.checked_mul(factor))
        .filter(|seconds| (1..=EXPIRY_SECONDS_MAX).contains(seconds))
        .ok_or_else(|| allowed.to_owned())
}

/// `shared`, `territory`, `everyone` or `pair`
pub(super) fn lane(text: &str) -> Result<String, String> {
    let known = ["shared", "territory", "everyone", "pair"];
    if known.contains(&text) {
        Ok(text.to_owned())
    } else {
        Err(format!("known lanes: {}", known.join(", ")))
    }
}

/// At least eight hexadecimal digits, made lower case.
pub(super) fn id_prefix(text: &str) -> Result<String, String> {
    let fits = text.len() >= ID_DIGITS_MIN && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if fits {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(format!(
            "an id, or a beginning of it of at least {ID_DIGITS_MIN} hexadecimal digits"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_carry_their_unit_and_end_at_seven_days() {
        assert_eq!(expiry("90s"), Ok(90));
        assert_eq!(expiry("72h"), Ok(259_200));
        assert_eq!(expiry("7d"), Ok(604_800));
        for refused in [
            "",
            "72",
            "8d",
            "0h",
            "-1h",
            "1w",
            "h",
            "1h30m",
            "99999999999999999999d",
            "7é",
        ] {
            assert!(expiry(refused).is_err(), "{refused:?} was taken");
        }
    }

    #[test]
    fn an_id_needs_eight_digits() {
        assert_eq!(id_prefix("ABCDEF01"), Ok("abcdef01".to_owned()));
        assert!(id_prefix("abcdef0").is_err());
        assert!(id_prefix("not-an-id").is_err());
    }

    #[test]
    fn a_kind_is_taken_in_singular_and_plural() {
        assert!(kind("project").is_ok());
        assert!(kind("projects").is_ok());
        assert!(kind("projekt").is_err());
    }
}
