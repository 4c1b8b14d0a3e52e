//! A mail to one person, and what can send it. Knows no SMTP.

use std::error::Error;

use async_trait::async_trait;
use secrecy::SecretString;

/// A mail. Its text may hold a link that is as good as a password.
#[derive(Clone, Debug)]
pub struct Mail {
    /// One address.
    pub to: String,
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: SecretString,
}

/// A mail was not sent.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// It will not be by trying again: the address is none, or was refused.
    #[error("the mail was refused")]
    Refused(#[source] Box<dyn Error + Send + Sync>),
    /// It may be later.
    #[error("the mail could not be sent")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

/// Sends mails.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Hands a mail on; when it returns, somebody else keeps it.
    async fn send(&self, mail: &Mail) -> Result<(), MailError>;
}
