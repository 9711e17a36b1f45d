//! Who may read a file: its owner alone. SQLite gives the files beside its own (`-wal`, `-shm`) the rights that it has.

use std::{
    ffi::OsString,
    fmt,
    fs::{DirBuilder, OpenOptions, Permissions},
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// The rights of files: read and written by their owner.
pub const FILE_MODE: u32 = 0o600;
/// The rights of folders: entered, too.
pub const FOLDER_MODE: u32 = 0o700;
/// All nine rights that a mode grants.
const RIGHTS: u32 = 0o777;
/// In a folder with this bit anybody may make files, as in `/tmp`: it belongs to all, and is left so.
const STICKY: u32 = 0o1000;

/// A file or folder that others may read, and that could not be closed to them.
#[derive(Debug)]
pub struct Open {
    /// The file or folder.
    pub path: PathBuf,
    /// Its rights.
    pub mode: u32,
    /// What is in the way.
    pub problem: String,
}

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, mode, problem } = self;
        write!(f, "{} is open to other users of this machine (mode {mode:04o}): {problem}", path.display())
    }
}

/// Makes a folder that its owner alone may enter, with those above it, if it isn't there. One that is there is not changed.
///
/// # Errors
/// When it can't be made.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)
}

/// Takes from all but the owner what rights they have to a file or folder; one that is missing is passed over.
///
/// # Errors
/// When it stays open to others: it belongs to another user, or is a folder for all.
pub fn tighten(path: &Path) -> Result<(), Open> {
    let open = |mode, problem: String| Open { path: path.to_owned(), mode, problem };
    let known = match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(open(0, error.to_string())),
        Ok(known) => known,
    };
    let (mode, wanted) = (known.permissions().mode(), if known.is_dir() { FOLDER_MODE } else { FILE_MODE });
    let excess = mode & RIGHTS & !wanted;
    if excess == 0 {
        return Ok(());
    }
    let shown = mode & (RIGHTS | STICKY);
    if known.is_dir() && (mode & STICKY != 0 || path.parent().is_none()) {
        return Err(open(shown, "it is a folder for all users, and is left so".to_owned()));
    }
    std::fs::set_permissions(path, Permissions::from_mode(mode & RIGHTS & wanted))
        .map_err(|error| open(shown, error.to_string()))
}

/// The rights of a file or folder, where others than its owner have some.
pub fn others_may(path: &Path) -> Option<u32> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & (RIGHTS | STICKY);
    (mode & RIGHTS & !FOLDER_MODE != 0).then_some(mode)
}

/// The files of a SQLite database: its own, and those beside it while it is open.
pub fn of_sqlite(file: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|end| {
        let mut name = OsString::from(file);
        name.push(end);
        name.into()
    })
}

pub(crate) fn is_there(file: &Path) -> bool {
    is_in_memory(file) || file.exists()
}

/// Makes an empty SQLite file for its owner alone, if there is none, and closes one that is there to others. SQLite itself
/// would make it readable for all, and closing it afterwards leaves a moment in which it is open.
pub(crate) fn make_private(file: &Path) -> io::Result<()> {
    if is_in_memory(file) {
        return Ok(());
    }
    match OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(file) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            for open in of_sqlite(file).iter().filter_map(|file| tighten(file).err()) {
                tracing::warn!("{open}");
            }
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Names that SQLite keeps no file for.
fn is_in_memory(file: &Path) -> bool {
    file.as_os_str().is_empty()
        || [":memory:", "file:"].iter().any(|name| file.as_os_str().to_string_lossy().starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).expect("is there").permissions().mode() & (RIGHTS | STICKY)
    }

    fn with_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("its mode is set");
    }

    #[test]
    fn what_others_may_do_is_taken_from_files_and_folders_and_nothing_is_added() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("bank.db");
        std::fs::write(&file, "").expect("written");
        for (before, after) in [(0o644, 0o600), (0o600, 0o600), (0o444, 0o400), (0o777, 0o600)] {
            with_mode(&file, before);
            tighten(&file).expect("ours");
            assert_eq!(mode(&file), after, "{before:o}");
        }
        with_mode(folder.path(), 0o755);
        tighten(folder.path()).expect("ours");
        assert_eq!(mode(folder.path()), 0o700);
        tighten(&folder.path().join("missing")).expect("nothing to do");
    }

    #[test]
    fn a_folder_for_all_users_is_left_so_and_told() {
        let folder = tempfile::tempdir().expect("a folder");
        with_mode(folder.path(), 0o1777);
        let open = tighten(folder.path()).expect_err("left");
        assert_eq!(mode(folder.path()), 0o1777);
        assert!(open.to_string().contains("1777"), "{open}");
    }
}
