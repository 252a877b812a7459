//! Who has an SQLite database open: each process holds a lock on a file beside it, which ends with the
//! process, however that ends. PostgreSQL has servers on other machines; there the log of revocations says
//! whether one is there.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::OpenError;
use super::sqlite::{beside, create_private_file};

/// Who else may have the database open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Company {
    /// Servers, and commands beside them.
    Anybody,
    /// Nobody, for what must not happen under anybody's feet.
    Nobody,
}

/// This process has the database open, until the value is dropped.
pub(super) struct Presence {
    _file: Option<File>,
}

impl Presence {
    /// Says that this process is there. The database has its file.
    pub(super) fn at(database: &Path, company: Company) -> Result<Self, OpenError> {
        let failed = |error: &std::io::Error| {
            OpenError(format!(
                "cannot open the database {database}: cannot lock {database}.in-use: {error}",
                database = database.display(),
            ))
        };
        let file = beside(database, ".in-use").and_then(|path| create_private_file(&path));
        let file = file.map_err(|error| failed(&error))?;
        let locked = match company {
            Company::Anybody => file.try_lock_shared(),
            Company::Nobody => file.try_lock(),
        };
        match (locked, company) {
            (Ok(()), _) => Ok(Self { _file: Some(file) }),
            (Err(TryLockError::WouldBlock), Company::Anybody) => Err(OpenError(format!(
                "a command that has to be alone is at work on the database {}; try again when it is done",
                database.display()
            ))),
            (Err(TryLockError::WouldBlock), Company::Nobody) => Err(OpenError(format!(
                "the database {} is in use; stop the server, and whatever command is at work on it, and \
                 try again",
                database.display()
            ))),
            // A file system without locks can do without, until somebody has to be alone.
            (Err(TryLockError::Error(_)), Company::Anybody) => Ok(Self { _file: None }),
            (Err(TryLockError::Error(error)), Company::Nobody) => Err(failed(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_to_be_alone_waits_for_nobody_and_lets_nobody_in() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("tokensmith.db");
        std::fs::write(&database, "").unwrap();
        let server = Presence::at(&database, Company::Anybody).unwrap();
        let command = Presence::at(&database, Company::Anybody).unwrap();
        let refused = |company| Presence::at(&database, company).err().unwrap().0;
        assert!(refused(Company::Nobody).contains("stop the server"));
        drop(server);
        assert!(refused(Company::Nobody).contains("stop the server"));
        drop(command);
        let alone = Presence::at(&database, Company::Nobody).unwrap();
        assert!(refused(Company::Anybody).contains("has to be alone"));
        assert!(refused(Company::Nobody).contains("stop the server"));
        drop(alone);
        assert!(Presence::at(&database, Company::Anybody).is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn a_server_is_seen_through_whichever_link_it_came() {
        use std::os::unix::fs::symlink;
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().join("home");
        std::fs::create_dir(&home).unwrap();
        let database = home.join("tokensmith.db");
        std::fs::write(&database, "").unwrap();
        let (link, linked_home) = (
            directory.path().join("link.db"),
            directory.path().join("there"),
        );
        symlink(&database, &link).unwrap();
        symlink(&home, &linked_home).unwrap();
        for path in [link, linked_home.join("tokensmith.db")] {
            let server = Presence::at(&path, Company::Anybody).unwrap();
            assert!(
                Presence::at(&database, Company::Nobody).is_err(),
                "{}",
                path.display()
            );
            drop(server);
            assert!(Presence::at(&database, Company::Nobody).is_ok());
        }
    }
}
