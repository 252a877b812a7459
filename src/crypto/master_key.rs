//! The master key: 32 random bytes, the only secret outside the database. Everything else is
//! derived from it (HKDF, RFC 5869, one label per use) or sealed by it.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use zeroize::Zeroizing;

use super::inheritance::Inheritance;
use crate::domain::ports::{Entropy, MasterKeyFingerprint, NoEntropy};

const FILE_NAME: &str = "master.key";
/// Where the next master key waits until the database belongs to it.
const NEXT_FILE_NAME: &str = "master.key.new";

/// Separates this program's derivations from any other use of the same bytes.
const SALT: &[u8] = b"tokensmith/v1";

/// The master key, with what it has inherited from those before it. Zeroed when dropped; it has no
/// `Debug`.
pub struct MasterKey {
    key: Zeroizing<[u8; 32]>,
    inheritance: Inheritance,
}

/// Where the master key comes from.
#[derive(Clone)]
pub enum MasterKeySource {
    /// The value itself in base64, from `TOKENSMITH_MASTER_KEY`.
    Value(Zeroizing<String>),
    /// The file that `TOKENSMITH_MASTER_KEY_FILE` names, for example a mounted secret.
    File(PathBuf),
    /// `master.key` in the keys directory; made on the first start.
    KeysDirectory(PathBuf),
}

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The value is not 32 bytes in base64.
    #[error("{origin} is not a master key: expected 32 bytes in base64 (44 characters)")]
    Malformed {
        /// File or variable.
        origin: String,
    },
    /// Others may read the file.
    #[error(
        "{path} can be read by others (mode {mode:04o}); run: chmod 600 {path}",
        path = path.display()
    )]
    ReadableByOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file cannot be read or written.
    #[error("{action} {}: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The configured file is missing.
    #[error("{} does not exist; it should hold the master key", .0.display())]
    Missing(PathBuf),
    /// A key is never written over another.
    #[error("{} is there already: another renewal is under way, or was interrupted", .0.display())]
    AlreadyThere(PathBuf),
    /// Only one process at a time makes the next key.
    #[error("another renewal of the master key is under way ({} is locked); let it end, and try again", .0.display())]
    Reserved(PathBuf),
    /// The inheritance in the database is not that of this key.
    #[error(
        "what the database keeps for its master key does not open with it: the row of the table \
         installation was changed, or is from another backup"
    )]
    Inheritance,
    /// No random bytes.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

impl MasterKey {
    /// Reads the master key. `None` when the keys directory has none yet.
    pub fn load(source: &MasterKeySource) -> Result<Option<Self>, MasterKeyError> {
        match source {
            MasterKeySource::Value(text) => {
                Self::parse(text, || "TOKENSMITH_MASTER_KEY".to_owned()).map(Some)
            }
            MasterKeySource::File(path) => match Self::read(path, MOUNTED_SECRET)? {
                Some(key) => Ok(Some(key)),
                None => Err(MasterKeyError::Missing(path.clone())),
            },
            MasterKeySource::KeysDirectory(directory) => {
                Self::read(&directory.join(FILE_NAME), OWN_FILE)
            }
        }
    }

    /// Makes a master key in the keys directory. When another process was first, its key is read:
    /// the file appears under its name only when it is complete.
    pub fn create(directory: &Path, entropy: &dyn Entropy) -> Result<Self, MasterKeyError> {
        create_private_directory(directory)?;
        let key = Self::generate(entropy)?;
        match key.save(&directory.join(FILE_NAME), entropy) {
            Ok(()) => Ok(key),
            Err(MasterKeyError::AlreadyThere(path)) => {
                Self::read_file(&path)?.ok_or(MasterKeyError::Missing(path))
            }
            Err(error) => Err(error),
        }
    }

    /// A new key, which is nowhere but here yet.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
        let mut key = Zeroizing::new([0; 32]);
        entropy.fill(&mut *key)?;
        Ok(Self::of_bytes(key))
    }

    /// Writes the key to a file that is not there yet, in a directory that is.
    pub fn save(&self, path: &Path, entropy: &dyn Entropy) -> Result<(), MasterKeyError> {
        let mut suffix = [0; 8];
        entropy.fill(&mut suffix)?;
        let start = start_of_drafts(path);
        let draft = path.with_file_name(format!("{start}{:016x}", u64::from_be_bytes(suffix)));
        let text = Zeroizing::new(STANDARD.encode(*self.key) + "\n");
        write_private_file(&draft, text.as_bytes()).map_err(file_error("writing", &draft))?;
        let linked = fs::hard_link(&draft, path);
        // The database is claimed for this key next; the name must not be lost in a power cut.
        sync_directory(directory_of(path))?;
        fs::remove_file(&draft).map_err(file_error("removing", &draft))?;
        linked.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => MasterKeyError::AlreadyThere(path.to_owned()),
            _ => file_error("writing", path)(error),
        })
    }

    /// Keeps other processes from making a key at this place, until what is answered is dropped. `None`
    /// where the directory is missing: nobody can write a key there.
    pub fn reserve(path: &Path) -> Result<Option<fs::File>, MasterKeyError> {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let lock = PathBuf::from(name);
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = match options.open(&lock) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(file_error("locking", &lock)(error)),
        };
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Err(MasterKeyError::Reserved(lock)),
            Err(fs::TryLockError::Error(error)) => Err(file_error("locking", &lock)(error)),
        }
    }

    /// Reads a master key from a file that only its owner may read. `None` when there is none.
    pub fn read_file(path: &Path) -> Result<Option<Self>, MasterKeyError> {
        Self::read(path, OWN_FILE)
    }

    /// Where the next master key of a keys directory waits.
    #[must_use]
    pub fn next_in(directory: &Path) -> PathBuf {
        directory.join(NEXT_FILE_NAME)
    }

    /// Puts the next master key of a keys directory in the place of the present one. What a process that
    /// died has left of either goes.
    pub fn put_next_in_place(directory: &Path) -> Result<(), MasterKeyError> {
        let next = Self::next_in(directory);
        remove_drafts(directory, &[&next, &directory.join(FILE_NAME)])?;
        fs::rename(&next, directory.join(FILE_NAME)).map_err(file_error("renaming", &next))?;
        sync_directory(directory)
    }

    fn of_bytes(key: Zeroizing<[u8; 32]>) -> Self {
        Self {
            key,
            inheritance: Inheritance::default(),
        }
    }

    #[cfg(test)]
    pub(super) fn of(key: [u8; 32]) -> Self {
        Self::of_bytes(Zeroizing::new(key))
    }

    pub(super) fn inheritance(&self) -> &Inheritance {
        &self.inheritance
    }

    pub(super) fn with_inheritance(self, inheritance: Inheritance) -> Self {
        Self {
            inheritance,
            ..self
        }
    }

    /// 32 bytes for one use. The label names the use; two labels share nothing.
    ///
    /// This is HKDF-SHA-256 (RFC 5869) for an output of one block, written with HMAC, because that
    /// cannot fail; a test holds it against ring's HKDF.
    #[must_use]
    pub fn derive(&self, label: &'static str) -> Zeroizing<[u8; 32]> {
        let extract = hmac::Key::new(hmac::HMAC_SHA256, SALT);
        let pseudorandom_key = hmac::sign(&extract, &*self.key);
        let expand = hmac::Key::new(hmac::HMAC_SHA256, pseudorandom_key.as_ref());
        let mut context = hmac::Context::with_key(&expand);
        context.update(label.as_bytes());
        context.update(&[1]);
        let mut output = Zeroizing::new([0; 32]);
        output
            .iter_mut()
            .zip(context.sign().as_ref())
            .for_each(|(to, from)| *to = *from);
        output
    }

    /// Tells this key from others.
    #[must_use]
    pub fn fingerprint(&self) -> MasterKeyFingerprint {
        let derived = self.derive("fingerprint");
        let mut fingerprint = [0; 16];
        fingerprint
            .iter_mut()
            .zip(derived.iter())
            .for_each(|(to, from)| *to = *from);
        MasterKeyFingerprint(fingerprint)
    }

    fn read(path: &Path, refused_mode: u32) -> Result<Option<Self>, MasterKeyError> {
        let mut file = match fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(file_error("reading", path)(error)),
        };
        refuse_when_open_to_others(&file, path, refused_mode)?;
        let mut text = Zeroizing::new(String::new());
        file.read_to_string(&mut text)
            .map_err(file_error("reading", path))?;
        Self::parse(&text, || path.display().to_string()).map(Some)
    }

    fn parse(text: &str, origin: impl Fn() -> String) -> Result<Self, MasterKeyError> {
        let malformed = || MasterKeyError::Malformed { origin: origin() };
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| malformed())?);
        let key: [u8; 32] = bytes.as_slice().try_into().map_err(|_| malformed())?;
        Ok(Self::of_bytes(Zeroizing::new(key)))
    }
}

/// How the name of each draft of a key file begins; sixteen hexadecimal digits follow.
fn start_of_drafts(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!(".{name}.")
}

fn remove_drafts(directory: &Path, of: &[&Path]) -> Result<(), MasterKeyError> {
    let starts: Vec<_> = of.iter().map(|path| start_of_drafts(path)).collect();
    let is_draft = |name: &str| {
        let mut rests = starts.iter().filter_map(|start| name.strip_prefix(start));
        rests.any(|rest| rest.len() == 16 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let failed = || file_error("reading", directory);
    for entry in fs::read_dir(directory).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        if is_draft(&entry.file_name().to_string_lossy()) {
            fs::remove_file(entry.path()).map_err(file_error("removing", &entry.path()))?;
        }
    }
    Ok(())
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn file_error(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(std::io::Error) -> MasterKeyError + use<> {
    let path = path.to_owned();
    move |source| MasterKeyError::File {
        action,
        path,
        source,
    }
}

/// Permission bits that the file in the keys directory must not have: nobody but its owner.
const OWN_FILE: u32 = 0o077;
/// Those that a file named by `TOKENSMITH_MASTER_KEY_FILE` must not have. Orchestrators mount
/// secrets readable by a group; readable by everybody is too much there, too.
const MOUNTED_SECRET: u32 = 0o037;

#[cfg(unix)]
fn refuse_when_open_to_others(
    file: &fs::File,
    path: &Path,
    refused_mode: u32,
) -> Result<(), MasterKeyError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = file.metadata().map_err(file_error("reading", path))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & refused_mode != 0 {
        return Err(MasterKeyError::ReadableByOthers {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_when_open_to_others(_: &fs::File, _: &Path, _: u32) -> Result<(), MasterKeyError> {
    Ok(())
}

fn sync_directory(directory: &Path) -> Result<(), MasterKeyError> {
    fs::File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(file_error("writing", directory))
}

fn create_private_directory(directory: &Path) -> Result<(), MasterKeyError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(directory)
        .map_err(file_error("creating", directory))
}

fn write_private_file(path: &Path, contents: &[u8]) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(contents)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::super::SystemEntropy;
    use super::*;

    fn directory() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn the_first_start_makes_a_key_that_only_its_owner_can_read() {
        let keys = directory();
        let home = keys.path().join("nested/keys");
        let source = MasterKeySource::KeysDirectory(home.clone());
        assert!(MasterKey::load(&source).unwrap().is_none());
        let made = MasterKey::create(&home, &SystemEntropy::default()).unwrap();
        let read = MasterKey::load(&source).unwrap().unwrap();
        assert_eq!(made.fingerprint(), read.fingerprint());
        assert_eq!(
            fs::read_dir(&home).unwrap().count(),
            1,
            "no draft is left behind"
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(home.join(FILE_NAME))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn two_processes_that_start_together_end_up_with_one_key() {
        let keys = directory();
        let make = || MasterKey::create(keys.path(), &SystemEntropy::default()).unwrap();
        let fingerprints: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| make().fingerprint()))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert!(fingerprints.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[cfg(unix)]
    #[test]
    fn a_key_file_that_others_can_read_is_refused_with_the_command_that_mends_it() {
        use std::os::unix::fs::PermissionsExt;
        let keys = directory();
        MasterKey::create(keys.path(), &SystemEntropy::default()).unwrap();
        let path = keys.path().join(FILE_NAME);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let source = MasterKeySource::KeysDirectory(keys.path().to_owned());
        let error = MasterKey::load(&source).err().unwrap().to_string();
        assert!(error.contains("mode 0644"), "{error}");
        assert!(
            error.ends_with(&format!("chmod 600 {}", path.display())),
            "{error}"
        );
    }

    #[test]
    fn a_value_that_is_no_key_names_where_it_came_from() {
        for bad in [
            "",
            "short",
            &STANDARD.encode([1; 31]),
            &STANDARD.encode([1; 33]),
        ] {
            let source = MasterKeySource::Value(Zeroizing::new(bad.to_owned()));
            let error = MasterKey::load(&source).err().unwrap().to_string();
            assert!(
                error.starts_with("TOKENSMITH_MASTER_KEY is not a master key"),
                "{error}"
            );
        }
        let missing = MasterKeySource::File("/nonexistent/master.key".into());
        assert!(matches!(
            MasterKey::load(&missing),
            Err(MasterKeyError::Missing(_))
        ));
    }

    #[test]
    fn derivation_is_hkdf() {
        let label = "client-secret";
        let mut expected = [0; 32];
        ring::hkdf::Salt::new(ring::hkdf::HKDF_SHA256, SALT)
            .extract(&[7; 32])
            .expand(&[label.as_bytes()], ring::hkdf::HKDF_SHA256)
            .unwrap()
            .fill(&mut expected)
            .unwrap();
        assert_eq!(*MasterKey::of([7; 32]).derive(label), expected);
    }

    #[cfg(unix)]
    #[test]
    fn a_mounted_secret_may_be_readable_by_its_group_but_not_by_everybody() {
        use std::os::unix::fs::PermissionsExt;
        let keys = directory();
        MasterKey::create(keys.path(), &SystemEntropy::default()).unwrap();
        let path = keys.path().join(FILE_NAME);
        for (mode, is_accepted) in [(0o400, true), (0o440, true), (0o444, false), (0o660, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let loaded = MasterKey::load(&MasterKeySource::File(path.clone()));
            assert_eq!(loaded.is_ok(), is_accepted, "{mode:o}");
        }
    }

    #[test]
    fn the_next_key_waits_beside_the_present_one_until_it_is_put_in_its_place() {
        let keys = directory();
        let source = MasterKeySource::KeysDirectory(keys.path().to_owned());
        let entropy = SystemEntropy::default();
        let present = MasterKey::create(keys.path(), &entropy).unwrap();
        let waiting = MasterKey::next_in(keys.path());
        assert!(MasterKey::read_file(&waiting).unwrap().is_none());
        let next = MasterKey::generate(&entropy).unwrap();
        next.save(&waiting, &entropy).unwrap();
        let another = MasterKey::generate(&entropy).unwrap();
        let refused = another.save(&waiting, &entropy).unwrap_err();
        assert!(
            matches!(&refused, MasterKeyError::AlreadyThere(path) if *path == waiting),
            "{refused}"
        );
        let is_waiting = MasterKey::read_file(&waiting).unwrap().unwrap();
        assert_eq!(is_waiting.fingerprint(), next.fingerprint());
        let loaded = || MasterKey::load(&source).unwrap().unwrap().fingerprint();
        assert_eq!(loaded(), present.fingerprint());
        MasterKey::put_next_in_place(keys.path()).unwrap();
        assert_eq!(loaded(), next.fingerprint());
        assert_eq!(fs::read_dir(keys.path()).unwrap().count(), 1);
        assert!(MasterKey::put_next_in_place(keys.path()).is_err());
    }

    #[test]
    fn what_a_renewal_that_died_has_left_goes_when_the_next_key_is_put_in_place() {
        let keys = directory();
        let entropy = SystemEntropy::default();
        let next = MasterKey::generate(&entropy).unwrap();
        next.save(&MasterKey::next_in(keys.path()), &entropy)
            .unwrap();
        let drafts = [
            ".master.key.new.0123456789abcdef",
            ".master.key.fedcba9876543210",
        ];
        let others = [
            ".master.key.new.of-the-operator",
            "master.key.0123456789abcdef",
        ];
        for name in drafts.iter().chain(&others) {
            fs::write(keys.path().join(name), "").unwrap();
        }
        MasterKey::put_next_in_place(keys.path()).unwrap();
        for name in drafts {
            assert!(!keys.path().join(name).exists(), "{name}");
        }
        for name in others {
            assert!(keys.path().join(name).exists(), "{name}");
        }
    }

    #[test]
    fn the_place_of_the_next_key_is_reserved_for_one_at_a_time() {
        let keys = directory();
        let place = MasterKey::next_in(keys.path());
        let held = MasterKey::reserve(&place).unwrap();
        assert!(held.is_some());
        let refused = MasterKey::reserve(&place).unwrap_err().to_string();
        assert!(refused.contains("another renewal"), "{refused}");
        drop(held);
        assert!(MasterKey::reserve(&place).unwrap().is_some());
        let nowhere = keys.path().join("missing/master.key.new");
        assert!(MasterKey::reserve(&nowhere).unwrap().is_none());
    }

    #[test]
    fn labels_share_nothing() {
        let key = MasterKey::of([7; 32]);
        assert_ne!(*key.derive("a"), *key.derive("b"));
        assert_eq!(*key.derive("a"), *key.derive("a"));
    }
}
