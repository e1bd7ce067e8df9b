//! Reading the file: the only input and output of this crate.

use std::path::{Path, PathBuf};

use crate::raw::Raw;
use crate::{Config, Problem, check};

/// Longest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why a configuration could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadFailed {
    /// The file cannot be read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is far too long to be a configuration.
    #[error("{} has {bytes} bytes, at most {FILE_BYTES_MAX} allowed", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// The file can be read but not obeyed; every problem, by line.
    #[error("{} problems in the configuration", .0.len())]
    Problems(Vec<Problem>),
}

/// Reads and checks a file. Paths in it are taken from its folder, and must be there.
pub fn load(path: &Path) -> Result<Config, LoadFailed> {
    load_examined(path, |_| Vec::new())
}

/// As [`load`]; what `examine` finds in a configuration that is right in itself, by section, key
/// and reason, is told with its line like all else.
pub fn load_examined(
    path: &Path,
    examine: impl FnOnce(&Config) -> Vec<(&'static str, &'static str, String)>,
) -> Result<Config, LoadFailed> {
    let unreadable = |source| LoadFailed::Unreadable {
        path: path.to_path_buf(),
        source,
    };
    let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(LoadFailed::TooLong {
            path: path.to_path_buf(),
            bytes,
        });
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let mut config = check(&text).map_err(LoadFailed::Problems)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut missing = Raw::parse(&text);
    for (name, named) in [
        ("cert", &mut config.http.cert),
        ("key", &mut config.http.key),
    ] {
        let Some(file) = named else { continue };
        *file = folder.join(&*file);
        if !file.is_file() {
            let reason = format!(
                "there is no file {}: put it there or correct the path",
                file.display()
            );
            missing.add("http", name, reason);
        }
    }
    if !missing.has_problems() {
        for (section, name, reason) in examine(&config) {
            missing.add(section, name, reason);
        }
    }
    let problems = missing.into_problems();
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(LoadFailed::Problems(problems))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const FILE: &str = "[node]\nterritory = \"a\"\nrole = \"district\"\nname = \"A\"\n[http]\ncert = \"c.pem\"\nkey = \"k.pem\"\n";

    #[test]
    fn certificate_and_key_are_looked_for_beside_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("raccordo.toml");
        fs::write(&path, FILE).unwrap();
        fs::write(folder.path().join("c.pem"), "").unwrap();
        let Err(LoadFailed::Problems(problems)) = load(&path) else {
            panic!("accepted without the key's file");
        };
        assert_eq!(problems.len(), 1);
        assert_eq!(
            (problems[0].line, problems[0].key.as_str()),
            (7, "http.key")
        );
        fs::write(folder.path().join("k.pem"), "").unwrap();
        let config = load(&path).unwrap();
        assert_eq!(config.http.cert, Some(folder.path().join("c.pem")));
        let examined = load_examined(&path, |_| vec![("http", "cert", "is empty".to_owned())]);
        let Err(LoadFailed::Problems(problems)) = examined else {
            panic!("accepted with what was found");
        };
        assert_eq!(
            (problems[0].line, problems[0].key.as_str()),
            (6, "http.cert")
        );
    }

    #[test]
    fn a_missing_a_huge_and_a_binary_file_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("raccordo.toml");
        assert!(matches!(load(&path), Err(LoadFailed::Unreadable { .. })));
        fs::write(&path, [0xFF; 10]).unwrap();
        assert!(matches!(load(&path), Err(LoadFailed::Unreadable { .. })));
        fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
        assert!(matches!(load(&path), Err(LoadFailed::TooLong { .. })));
    }
}
