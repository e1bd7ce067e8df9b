//! Where a running node listens for commands: a Unix socket in its data folder, mode 0600.
//!
//! A socket's path holds about 100 bytes. Where the folder's is longer, the socket stands in the
//! runtime directory and `DIR/socket` is a text file that names it.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tokio::net::{UnixListener, UnixStream};

/// Longest path of a socket that we bind, in bytes; the system's limit is 107.
const SOCKET_PATH_BYTES_MAX: usize = 100;

/// The name in the data folder, of the socket or of the file that names it.
const SOCKET_NAME: &str = "socket";

/// The files of a bound socket; they are removed when the value is dropped.
#[derive(Debug)]
pub(super) struct Bound {
    paths: Vec<PathBuf>,
}

/// Binds the socket of the node in `data`. The caller holds the store's lock, so a file left over
/// by a node that was killed is nobody's and is replaced.
pub(super) fn bind(data: &Path) -> anyhow::Result<(Bound, UnixListener)> {
    let folder =
        fs::canonicalize(data).with_context(|| format!("cannot open {}", data.display()))?;
    let named = folder.join(SOCKET_NAME);
    let short = socket_fits(&named);
    let path = if short {
        named.clone()
    } else {
        runtime_folder()?.join(runtime_name(&folder))
    };
    remove_if_there(&named)?;
    remove_if_there(&path)?;
    let listener = UnixListener::bind(&path)
        .with_context(|| format!("cannot make the socket {}", path.display()))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
        .with_context(|| format!("cannot protect the socket {}", path.display()))?;
    let mut paths = vec![named.clone()];
    if !short {
        fs::write(&named, path.as_os_str().as_bytes())
            .with_context(|| format!("cannot write {}", named.display()))?;
        paths.push(path);
    }
    Ok((Bound { paths }, listener))
}

impl Drop for Bound {
    fn drop(&mut self) {
        for path in &self.paths {
            // A file that stays is replaced at the next start.
            fs::remove_file(path).ok();
        }
    }
}

/// Connects to the running node of `data`; none if no node answers there.
pub(super) async fn connect(data: &Path) -> anyhow::Result<Option<UnixStream>> {
    let Ok(folder) = fs::canonicalize(data) else {
        return Ok(None);
    };
    let named = folder.join(SOCKET_NAME);
    let path = match fs::metadata(&named) {
        Err(_) => return Ok(None),
        Ok(facts) if facts.file_type().is_socket() => named,
        Ok(_) => {
            let text =
                fs::read(&named).with_context(|| format!("cannot read {}", named.display()))?;
            PathBuf::from(std::ffi::OsStr::from_bytes(&text))
        }
    };
    match UnixStream::connect(&path).await {
        Ok(stream) => Ok(Some(stream)),
        Err(failed)
            if matches!(
                failed.kind(),
                io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound
            ) =>
        {
            Ok(None)
        }
        Err(failed) if failed.kind() == io::ErrorKind::PermissionDenied => {
            bail!(
                "the node in {} belongs to another user: run the command as that user",
                data.display()
            )
        }
        Err(failed) => {
            Err(failed).with_context(|| format!("cannot reach the node through {}", path.display()))
        }
    }
}

fn socket_fits(path: &Path) -> bool {
    path.as_os_str().len() <= SOCKET_PATH_BYTES_MAX
}

fn remove_if_there(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(failed) if failed.kind() != io::ErrorKind::NotFound => {
            Err(failed).with_context(|| format!("cannot remove what is left of {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// The folder for sockets whose own place has too long a path: the service manager's, the
/// user's, or one of our own among the temporary files that only we may enter.
fn runtime_folder() -> anyhow::Result<PathBuf> {
    for variable in ["RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"] {
        if let Some(folder) = std::env::var_os(variable)
            .map(PathBuf::from)
            .filter(|folder| folder.is_dir())
        {
            return Ok(folder);
        }
    }
    let user = rustix::process::geteuid().as_raw();
    let folder = std::env::temp_dir().join(format!("raccordo-{user}"));
    match fs::DirBuilder::new().mode(0o700).create(&folder) {
        Err(failed) if failed.kind() != io::ErrorKind::AlreadyExists => {
            return Err(failed).with_context(|| format!("cannot make {}", folder.display()));
        }
        _ => {}
    }
    let facts = fs::symlink_metadata(&folder)
        .with_context(|| format!("cannot open {}", folder.display()))?;
    if !facts.is_dir() || facts.uid() != user || facts.mode() & 0o077 != 0 {
        bail!(
            "{} is not a folder that only this user may enter: remove it or set XDG_RUNTIME_DIR",
            folder.display()
        );
    }
    Ok(folder)
}

/// A name that stays the same for one folder and differs between folders.
fn runtime_name(folder: &Path) -> String {
    let digest = xxhash_rust::xxh3::xxh3_64(folder.as_os_str().as_bytes());
    format!("raccordo-{digest:016x}.sock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_finds_the_socket_in_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert!(connect(folder.path()).await.unwrap().is_none());
        let bound = bind(folder.path()).unwrap();
        assert!(connect(folder.path()).await.unwrap().is_some());
        let mode = fs::metadata(folder.path().join("socket"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(bound);
        assert!(connect(folder.path()).await.unwrap().is_none());
        assert!(!folder.path().join("socket").exists());
    }

    #[tokio::test]
    async fn a_long_path_is_served_from_the_runtime_directory() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("d".repeat(120));
        fs::create_dir(&deep).unwrap();
        let bound = bind(&deep).unwrap();
        assert!(fs::metadata(deep.join("socket")).unwrap().is_file());
        assert!(connect(&deep).await.unwrap().is_some());
        drop(bound);
    }

    #[tokio::test]
    async fn what_a_killed_node_left_behind_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (mut first, _) = bind(folder.path()).unwrap();
        first.paths.clear();
        drop(first);
        assert!(connect(folder.path()).await.unwrap().is_none());
        let second = bind(folder.path()).unwrap();
        assert!(connect(folder.path()).await.unwrap().is_some());
        drop(second);
    }
}
