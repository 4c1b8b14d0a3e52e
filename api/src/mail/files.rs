//! Mails as files, for whoever runs a server without a mail server: each is there to be read, and a log line says where.

use std::io;
use std::path::PathBuf;

use async_trait::async_trait;
use secrecy::ExposeSecret;
use tokio::fs::{self, OpenOptions};
use tokio::io::AsyncWriteExt;
use tracing::info;
use uuid::Uuid;

use crate::domain::mail::{Mail, MailError, Mailer};

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
}

#[async_trait]
impl Mailer for FileMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let path = self.write(mail).await.map_err(|err| MailError::Failed(err.into()))?;
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
        let mail = Mail { to: "ann@example.com".into(), subject: "Hello", text: "s3cret".into() };
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
    async fn a_directory_that_cannot_be_made_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mail = Mail { to: "ann@example.com".into(), subject: "Hello", text: "s3cret".into() };
        let failed = FileMailer::new(file.path().join("mail")).send(&mail).await;
        assert!(matches!(failed, Err(MailError::Failed(_))), "{failed:?}");
    }
}
