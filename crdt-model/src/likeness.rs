//! Names as they are spelt and as they sound: what finds a person typed otherwise, and doubles.
//!
//! Guarantees: the same name gives the same words and sounds, whatever its case, accents and
//! apostrophes. Made for Italian spelling, forgiving to names from elsewhere: inner vowels, double
//! letters and `h` do not count. Two names that sound alike need not be one person's.

/// Words that belong to the family name after them.
const PARTICLES: &[&str] = &[
    "d", "da", "dal", "dall", "dalla", "de", "dei", "del", "dell", "della", "delle", "degli", "di",
    "el", "al", "la", "li", "lo", "van", "von", "bin", "ben",
];

/// The words of a name: lower case, without accents, without marks.
pub fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for letter in name.chars() {
        match plain(letter) {
            Some(plain) => words.last_mut().expect("one at least").push_str(plain),
            // A combining mark belongs to the letter before it.
            None if ('\u{300}'..'\u{370}').contains(&letter) => {}
            None if letter.is_alphanumeric() => {
                let lower = letter.to_lowercase();
                words.last_mut().expect("one at least").extend(lower);
            }
            None => words.push(String::new()),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// How a word sounds: the consonants, and the vowels at both ends.
pub fn sound(word: &str) -> String {
    let folded: Vec<char> = words(word).concat().chars().collect();
    let mut out = String::new();
    let mut at = 0;
    while at < folded.len() {
        let (heard, taken) = hear(&folded, at);
        for letter in heard.chars() {
            let inner = at > 0 && at + taken < folded.len();
            let repeated = out.ends_with(letter);
            if !(repeated || is_vowel(letter) && inner) {
                out.push(letter);
            }
        }
        at += taken;
    }
    out
}

/// How a whole name sounds: the same for given and family name in either order. The first given
/// name counts, and the family name as one word. Nothing if either part is missing.
pub fn name_sound(family: &str, given: &str) -> Option<String> {
    let family = sound(&words(family).concat());
    let given = sound(words(given).first()?);
    if family.is_empty() || given.is_empty() {
        return None;
    }
    let mut both = [family, given];
    both.sort();
    Some(both.join(" "))
}

/// The words under which a name is found: each one, and a particle with the word after it.
pub fn found_by(name: &str) -> Vec<String> {
    let mut found = words(name);
    let joined: Vec<String> = found
        .windows(2)
        .filter(|pair| PARTICLES.contains(&pair[0].as_str()))
        .map(<[String]>::concat)
        .collect();
    found.extend(joined);
    found.sort();
    found.dedup();
    found
}

/// What is heard at a place, and how many letters it takes.
fn hear(word: &[char], at: usize) -> (&'static str, usize) {
    let next = |ahead: usize| word.get(at + ahead).copied().unwrap_or(' ');
    let soft = |letter: char| matches!(letter, 'e' | 'i' | 'y');
    match (word[at], next(1)) {
        ('s', 'c') if next(2) == 'h' => ("sk", 3),
        ('s', 'c') if soft(next(2)) => ("x", 2),
        ('s', 'h') => ("x", 2),
        ('g', 'l') if next(2) == 'i' => ("l", 2),
        ('g', 'n') => ("n", 2),
        ('c' | 'g', 'c' | 'g') if word[at] == next(1) => ("", 1),
        ('c', 'h' | 'k' | 'q') | ('q', 'u') => ("k", 2),
        ('c', letter) if soft(letter) => ("c", 1),
        ('c' | 'k' | 'q', _) => ("k", 1),
        ('g', 'h') => ("g", 2),
        ('g', letter) if soft(letter) => ("j", 1),
        ('g', _) => ("g", 1),
        ('p', 'h') | ('f', _) => ("f", if word[at] == 'p' { 2 } else { 1 }),
        ('x', _) => ("ks", 1),
        ('w' | 'v', _) => ("v", 1),
        ('i' | 'j' | 'y', _) => ("i", 1),
        ('a', _) => ("a", 1),
        ('b', _) => ("b", 1),
        ('d', _) => ("d", 1),
        ('e', _) => ("e", 1),
        ('l', _) => ("l", 1),
        ('m', _) => ("m", 1),
        ('n', _) => ("n", 1),
        ('o', _) => ("o", 1),
        ('p', _) => ("p", 1),
        ('r', _) => ("r", 1),
        ('s', _) => ("s", 1),
        ('t', _) => ("t", 1),
        ('u', _) => ("u", 1),
        ('z', _) => ("z", 1),
        // The silent one, figures, letters of other scripts.
        _ => ("", 1),
    }
}

fn is_vowel(letter: char) -> bool {
    matches!(letter, 'a' | 'e' | 'i' | 'o' | 'u')
}

/// The letters without accents that one Latin letter stands for.
fn plain(letter: char) -> Option<&'static str> {
    let lower = letter.to_lowercase().next().unwrap_or(letter);
    Some(match lower {
        'a' | 'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'æ' => "ae",
        'b' => "b",
        'c' | 'ç' | 'ć' | 'č' => "c",
        'd' | 'ď' | 'đ' | 'ð' => "d",
        'e' | 'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ė' | 'ę' | 'ě' | 'ə' => "e",
        'f' => "f",
        'g' | 'ğ' | 'ģ' => "g",
        'h' => "h",
        'i' | 'ì' | 'í' | 'î' | 'ï' | 'ī' | 'ı' | 'į' => "i",
        'j' => "j",
        'k' | 'ķ' => "k",
        'l' | 'ł' | 'ľ' | 'ļ' => "l",
        'm' => "m",
        'n' | 'ñ' | 'ń' | 'ň' | 'ņ' => "n",
        'o' | 'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ō' | 'ő' => "o",
        'œ' => "oe",
        'p' => "p",
        'q' => "q",
        'r' | 'ř' => "r",
        's' | 'ś' | 'š' | 'ş' | 'ș' => "s",
        'ß' => "ss",
        't' | 'ť' | 'ţ' | 'ț' => "t",
        'þ' => "th",
        'u' | 'ù' | 'ú' | 'û' | 'ü' | 'ū' | 'ů' | 'ű' => "u",
        'v' => "v",
        'w' => "w",
        'x' => "x",
        'y' | 'ý' | 'ÿ' => "y",
        'z' | 'ź' | 'ż' | 'ž' => "z",
        '\'' | '’' | '`' | '´' => "",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_name_sound_the_same() {
        for (one, other) in [
            ("Chiara", "Kiara"),
            ("Giuseppe", "Giusepe"),
            ("Niccolò", "Nicolo"),
            ("Jacopo", "Iacopo"),
            ("Mattia", "Matia"),
            ("Cocchi", "Coki"),
            ("Acqua", "Aqua"),
            ("Guglielmo", "Guglielmmo"),
            ("Mohammed", "Muhamad"),
            ("Sofia", "Sophia"),
            ("Schiavi", "Skiavi"),
            ("Popescu", "Popesku"),
            ("D'Angelo", "Dangelo"),
            ("Łukasz", "Lukasz"),
            ("Walter", "Valter"),
        ] {
            assert_eq!(sound(one), sound(other), "{one} {other}");
        }
    }

    #[test]
    fn names_that_sound_apart_have_other_codes() {
        for (one, other) in [
            ("Paolo", "Paola"),
            ("Rossi", "Russo"),
            ("Gino", "Ghino"),
            ("Cesare", "Chesare"),
            ("Bianchi", "Bianci"),
            ("Anna", "Enna"),
            ("Mario", "Dario"),
            ("Scialpi", "Scalpi"),
        ] {
            assert_ne!(sound(one), sound(other), "{one} {other}");
        }
    }

    #[test]
    fn a_whole_name_sounds_the_same_in_either_order_and_with_a_second_given_name() {
        let one = name_sound("De Luca", "Maria Teresa");
        assert!(one.is_some());
        assert_eq!(one, name_sound("Maria", "Deluca"));
        assert_eq!(one, name_sound("de luca", "MARIA"));
        assert_ne!(one, name_sound("De Luca", "Teresa"));
        assert_eq!(name_sound("", "Maria"), None);
        assert_eq!(name_sound("李", "伟"), None);
    }

    #[test]
    fn words_lose_case_accents_and_marks_and_keep_other_scripts() {
        assert_eq!(words("Dell’Àquila-Conti"), ["dellaquila", "conti"]);
        assert_eq!(words("Nicolo\u{300}"), ["nicolo"]);
        assert_eq!(words("Мария"), ["мария"]);
        assert_eq!(words(" .,"), [""; 0]);
        assert_eq!(found_by("De Luca"), ["de", "deluca", "luca"]);
    }
}
