//! Copies of a node's data folder: what a backup, a snapshot or a second machine would hold.

use std::fs;
use std::path::Path;

/// Copies a folder with all that is in it, and its modes; nothing may be running in it.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the lab's folder can be written");
    let mode = fs::metadata(from)
        .expect("a folder has a mode")
        .permissions();
    fs::set_permissions(to, mode).expect("the lab's folder can be written");
    for entry in fs::read_dir(from).expect("a folder can be read") {
        let entry = entry.expect("a folder can be read");
        let target = to.join(entry.file_name());
        let kind = entry.file_type().expect("an entry has a type");
        if kind.is_dir() {
            copy_folder(&entry.path(), &target);
        } else if kind.is_file() {
            fs::copy(entry.path(), target).expect("a file can be copied");
        }
    }
}

/// Puts a copy in the place of a folder.
pub fn put_back(copy: &Path, folder: &Path) {
    fs::remove_dir_all(folder).expect("the lab's folder can be written");
    copy_folder(copy, folder);
}
