//! Mails as files, for whoever runs a server without a mail server: each is there to be read, and a log line says where.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use secrecy::ExposeSecret;
use tokio::fs::{self, DirEntry, OpenOptions};
use tokio::io::AsyncWriteExt;
use tracing::{info, warn};
use uuid::Uuid;

use crate::domain::mail::{Mail, MailError, Mailer};

/// How long a mail lies there: far longer than the links in it are good for, which is a day at most.
const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Writes each mail into a directory, for its owner's eyes alone.
#[derive(Clone, Debug)]
pub struct FileMailer {
    directory: PathBuf,
}

impl FileMailer {
    /// Mails into `directory`, which is made with the first.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    async fn write(&self, mail: &Mail) -> io::Result<PathBuf> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.directory).await?;
        // Ids of this kind sort by time.
        let path = self.directory.join(format!("{}.eml", Uuid::now_v7()));
        let text = format!("To: {}\nSubject: {}\n\n{}", mail.to, mail.subject, mail.text.expose_secret());
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).await?;
        file.write_all(text.as_bytes()).await?;
        file.flush().await?;
        Ok(path)
    }

    /// Removes mails that have lain there for [`KEPT`], and nothing else that somebody may have put there.
    async fn forget_old(&self, now: SystemTime) -> io::Result<()> {
        let mut files = fs::read_dir(&self.directory).await?;
        while let Some(file) = files.next_entry().await? {
            match forget_if_old(&file, now).await {
                // Another api may have been first.
                Err(err) if err.kind() != io::ErrorKind::NotFound => {
                    warn!("an old mail, {}, cannot be removed: {err}", file.path().display());
                }
                _ => {}
            }
        }
        Ok(())
    }
}

async fn forget_if_old(file: &DirEntry, now: SystemTime) -> io::Result<()> {
    let name = file.file_name();
    let id = name.to_str().and_then(|name| name.strip_suffix(".eml"));
    if id.and_then(|id| Uuid::parse_str(id).ok()).is_none() {
        return Ok(());
    }
    let about = file.metadata().await?;
    if about.is_file() && now.duration_since(about.modified()?).unwrap_or_default() >= KEPT {
        fs::remove_file(file.path()).await?;
    }
    Ok(())
}

#[async_trait]
impl Mailer for FileMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let path = self.write(mail).await.map_err(|err| MailError::Failed(err.into()))?;
        if let Err(err) = self.forget_old(SystemTime::now()).await {
            // What is left goes with the next mail.
            warn!("old mails are still there: {err}");
        }
        info!("a mail ({}) lies in {}; with SMTP_URL it would be sent", mail.subject, path.display());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[tokio::test]
    async fn a_mail_is_a_file_of_its_owner_alone() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("mail");
        let mail = Mail { to: "ann@example.com".into(), subject: "Hello".into(), text: "s3cret".into() };
        FileMailer::new(directory.clone()).send(&mail).await.unwrap();
        FileMailer::new(directory.clone()).send(&mail).await.unwrap();
        let files: Vec<_> =
            std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 2);
        assert_eq!(
            std::fs::read_to_string(&files[0]).unwrap(),
            "To: ann@example.com\nSubject: Hello\n\ns3cret"
        );
        assert_eq!(std::fs::metadata(&files[0]).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(&directory).unwrap().mode() & 0o777, 0o700);
    }

    #[tokio::test]
    async fn mails_of_a_week_ago_go_with_the_next_and_nothing_else_does() {
        let place = tempfile::tempdir().unwrap();
        let put = |name: String, age: Duration| {
            let path = place.path().join(name);
            std::fs::write(&path, "x").unwrap();
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::now() - age).unwrap();
            path
        };
        let day = Duration::from_secs(24 * 60 * 60);
        let gone = [7, 400].map(|days| put(format!("{}.eml", Uuid::now_v7()), days * day));
        let kept = [put(format!("{}.eml", Uuid::now_v7()), 6 * day), put("notes.eml".to_owned(), 400 * day)];
        let mail = Mail { to: "ann@example.com".into(), subject: "Hello".into(), text: "s3cret".into() };
        FileMailer::new(place.path().to_owned()).send(&mail).await.unwrap();
        assert!(gone.iter().all(|path| !path.exists()) && kept.iter().all(|path| path.exists()));
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 3);
    }

    /// The story: one entry that cannot be removed as a file kept all behind it for ever.
    #[tokio::test]
    async fn what_is_no_file_stays_and_keeps_no_mail() {
        let place = tempfile::tempdir().unwrap();
        // Many of either: the order in which they are looked at is the file system's.
        for _ in 0..16 {
            for is_mail in [true, false] {
                let path = place.path().join(format!("{}.eml", Uuid::now_v7()));
                if is_mail {
                    std::fs::write(&path, "x").unwrap();
                } else {
                    std::fs::create_dir(&path).unwrap();
                }
                std::fs::File::open(&path).unwrap().set_modified(SystemTime::now() - 2 * KEPT).unwrap();
            }
        }
        FileMailer::new(place.path().to_owned()).forget_old(SystemTime::now()).await.unwrap();
        let left: Vec<_> =
            std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(left.len() == 16 && left.iter().all(|path| path.is_dir()), "{left:?}");
    }

    #[tokio::test]
    async fn a_directory_that_cannot_be_made_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mail = Mail { to: "ann@example.com".into(), subject: "Hello".into(), text: "s3cret".into() };
        let failed = FileMailer::new(file.path().join("mail")).send(&mail).await;
        assert!(matches!(failed, Err(MailError::Failed(_))), "{failed:?}");
    }
}
