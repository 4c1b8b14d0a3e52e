//! Reads one file of the link's certificates as somebody who trusts nothing about it: whatever is in its place, nobody
//! waits for it, and what others could have put there is refused. Knows nothing of what it holds.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The most a file may hold, in bytes.
const MAX_BYTES: u64 = 64 << 10;

/// What a file holds, and so who may look at it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Content {
    /// A certificate: for everybody to read.
    Certificate,
    /// A private key: for its owner, and a group if the operator wants it so.
    Key,
}

/// A file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is somebody else's, who could replace it at any time.
    #[error("it belongs to user {owner}, not to root or to user {wanted}, as whom we run (chown)")]
    Foreign {
        /// Whose it is, by uid.
        owner: u32,
        /// Who we are, by uid.
        wanted: u32,
    },
    /// Others could write to it.
    #[error("others may write to it (chmod go-w)")]
    Writable,
    /// It is a key, and everybody on this host could take it.
    #[error("it is a private key and everybody may read it (chmod o-r), so it is to be replaced")]
    Readable,
}

impl FileError {
    /// Whether there is nothing.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

/// Reads a file that only root or user `uid` may write to.
pub fn read_trusted(path: &Path, content: Content, uid: u32) -> Result<Vec<u8>, FileError> {
    let (file, metadata) = open(path)?;
    let owner = metadata.uid();
    // What is root's, root could do anyway.
    if owner != uid && owner != 0 {
        return Err(FileError::Foreign { owner, wanted: uid });
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(FileError::Writable);
    }
    if content == Content::Key && metadata.mode() & 0o004 != 0 {
        return Err(FileError::Readable);
    }
    Ok(read_bounded(&file)?)
}

/// Reads a file, whoever may write to it.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    read_bounded(&open(path)?.0)
}

/// Opens what is a plain file, without waiting: to open a pipe waits for whoever writes to it.
fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let plain = |metadata: &Metadata| {
        if metadata.is_file() { Ok(()) } else { Err(io::Error::other("it is no plain file")) }
    };
    plain(&fs::metadata(path)?)?;
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    plain(&metadata)?;
    Ok((file, metadata))
}

fn read_bounded(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!("it is longer than {MAX_BYTES} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_file_is_trusted_only_if_nobody_else_could_have_written_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "x").unwrap();
        let uid = fs::metadata(&path).unwrap().uid();
        let refused = |mode: u32, content, uid| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            read_trusted(&path, content, uid).err().map(|error| error.to_string())
        };
        for mode in [0o600, 0o400, 0o640, 0o440] {
            assert_eq!(refused(mode, Content::Key, uid), None, "{mode:o}");
        }
        assert_eq!(refused(0o644, Content::Certificate, uid), None);
        assert!(refused(0o644, Content::Key, uid).unwrap().contains("everybody may read it"));
        for (mode, content) in [(0o620, Content::Key), (0o602, Content::Key), (0o664, Content::Certificate)] {
            assert!(refused(mode, content, uid).unwrap().contains("others may write to it"), "{mode:o}");
        }
        let foreign = refused(0o600, Content::Certificate, uid + 1);
        // What is root's is root's for everybody.
        assert_eq!(foreign.is_some(), uid != 0, "{foreign:?}");
        let link = dir.path().join("link");
        symlink(&path, &link).unwrap();
        assert_eq!(read_trusted(&link, Content::Key, uid).unwrap(), b"x", "what a link leads to counts");
    }

    #[test]
    fn what_is_no_plain_file_or_too_long_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(Path::new("/dev/zero")).is_err());
        assert!(read(dir.path()).is_err());
        let path = dir.path().join("long");
        File::create(&path).unwrap().set_len(MAX_BYTES + 1).unwrap();
        assert!(read(&path).is_err());
        File::create(&path).unwrap().set_len(MAX_BYTES).unwrap();
        assert!(read(&path).is_ok());
    }
}
