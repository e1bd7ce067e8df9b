//! Looking for planted words where they must not be: files, memory of a process, opened stores.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use raccordo_crdt_model::likeness;

/// Bytes of memory read at a time.
const PIECE: usize = 1 << 16;

/// A process that runs has more memory than this.
const READ_MIN: usize = 1 << 20;

/// Words that are in nobody's record but the planted ones, each with what it is.
#[derive(Debug, Clone, Default)]
pub struct Planted(Vec<(String, Vec<u8>)>);

impl Planted {
    /// Adds a word: as it is, in lower case, in upper case, and folded as an index would hold it,
    /// without accents.
    pub fn plant(&mut self, what: &str, word: &str) {
        assert!(word.len() >= 6, "{word:?} is found anywhere");
        let folded = likeness::words(word).join(" ");
        let folded = if folded.len() < 6 { word } else { &folded };
        for form in [word, folded]
            .into_iter()
            .flat_map(|form| [form.to_owned(), form.to_lowercase(), form.to_uppercase()])
        {
            if !self.0.iter().any(|(_, known)| known == form.as_bytes()) {
                self.0.push((what.to_owned(), form.into_bytes()));
            }
        }
    }

    /// Adds bytes as they are.
    pub fn plant_bytes(&mut self, what: &str, bytes: &[u8]) {
        assert!(bytes.len() >= 6, "{bytes:?} is found anywhere");
        self.0.push((what.to_owned(), bytes.to_vec()));
    }

    /// What of it stands in these bytes.
    pub fn found_in(&self, bytes: &[u8]) -> Vec<String> {
        // One pass for all words: by their first two bytes, which few places have.
        let pair =
            |bytes: &[u8], at: usize| usize::from(bytes[at]) << 8 | usize::from(bytes[at + 1]);
        let mut firsts = vec![false; 1 << 16];
        for (_, word) in &self.0 {
            firsts[pair(word, 0)] = true;
        }
        let mut found = Vec::new();
        let mut at = 0;
        while at + 1 < bytes.len() {
            if firsts[pair(bytes, at)] {
                let here = self
                    .0
                    .iter()
                    .filter(|(_, word)| bytes[at..].starts_with(word));
                found.extend(
                    here.map(|(what, word)| format!("{what}: {}", String::from_utf8_lossy(word))),
                );
            }
            at += 1;
        }
        found.sort();
        found.dedup();
        found
    }

    /// What of it stands in any file below a folder, with the file; in names of files too.
    pub fn found_below(&self, folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).expect("a folder of the lab") {
            let path = entry.expect("an entry").path();
            let named = path.to_string_lossy().into_owned();
            let mut here = self.found_in(named.as_bytes());
            if path.is_dir() {
                found.extend(self.found_below(&path));
            } else if path.is_file() {
                here.extend(self.found_in(&fs::read(&path).unwrap_or_default()));
            }
            found.extend(here.into_iter().map(|what| format!("{named}: {what}")));
        }
        found
    }

    /// What of it stands in the memory of a running process that this one may read.
    pub fn found_in_memory(&self, pid: u32) -> Vec<String> {
        let memory = File::open(format!("/proc/{pid}/mem")).expect("a child's memory can be read");
        let maps = File::open(format!("/proc/{pid}/maps")).expect("a child's regions can be read");
        let longest = self.0.iter().map(|(_, word)| word.len()).max().unwrap_or(1);
        let untouched = vec![0_u8; PIECE];
        let mut found = Vec::new();
        let mut read = 0;
        for line in BufReader::new(maps).lines() {
            let line = line.expect("regions are text");
            let Some((from, to)) = readable(&line) else {
                continue;
            };
            let mut at = from;
            while at < to {
                let length = usize::try_from(to - at).unwrap_or(PIECE).min(PIECE);
                let mut piece = vec![0; length];
                // A region may go while others are read.
                let Ok(got) = memory.read_at(&mut piece, at) else {
                    break;
                };
                read += got;
                // Most of what is set aside was never used.
                if piece[..got] != untouched[..got] {
                    found.extend(self.found_in(&piece[..got]));
                }
                if got < length || at + length as u64 >= to {
                    break;
                }
                // What stands across two pieces is in the second.
                at += (length - longest) as u64;
            }
        }
        assert!(read > READ_MIN, "only {read} bytes of memory could be read");
        found.sort();
        found.dedup();
        found
    }
}

/// Begin and end of a region that can be read and is memory of the process's own: where a file is shown
/// and nothing can be written stands what the file holds, most of it the program.
fn readable(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split_whitespace();
    let (range, modes) = (words.next()?, words.next()?);
    let name = words.nth(3).unwrap_or_default();
    let only_shown = !modes.contains('w') && name.starts_with('/');
    if !modes.starts_with('r')
        || only_shown
        || matches!(name, "[vvar]" | "[vsyscall]" | "[vvar_vclock]")
    {
        return None;
    }
    let (from, to) = range.split_once('-')?;
    let number = |hex| u64::from_str_radix(hex, 16).ok();
    Some((number(from)?, number(to)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_word_is_found_in_any_case_and_nothing_else_is() {
        let mut planted = Planted::default();
        planted.plant("a name", "Zanzavecchia");
        assert_eq!(
            planted.found_in(b"..zanzavecchia.."),
            ["a name: zanzavecchia"]
        );
        assert_eq!(planted.found_in(b"ZANZAVECCHIA").len(), 1);
        assert!(planted.found_in(b"zanzavecchi").is_empty());
        planted.plant("a place", "Forl\u{ec}mpopoli");
        assert_eq!(
            planted.found_in(b"at forlimpopoli"),
            ["a place: forlimpopoli"]
        );
    }
}
