//! Mails by SMTP (RFC 5321), with TLS where the URL asks for it.

use std::time::Duration;

use async_trait::async_trait;
use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::AsyncSmtpTransportBuilder;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use secrecy::{ExposeSecret, SecretString};

use crate::domain::mail::{Mail, MailError, Mailer};

/// How long one command of the dialogue may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(20);

/// Hands mails to a mail server.
pub struct SmtpMailer {
    server: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// `SMTP_URL` is none; it is never repeated, for it may hold a password.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("must be a URL like smtps://user:password@mail.example or smtp://mail.example:587?tls=required")]
pub struct SmtpUrlError;

impl SmtpMailer {
    /// Mails by the server of `url`, from `from`.
    pub fn new(url: &SecretString, from: Mailbox) -> Result<Self, SmtpUrlError> {
        Ok(Self { server: server(url)?.timeout(Some(COMMAND_TIMEOUT)).build(), from })
    }

    /// Whether `url` names a mail server.
    pub fn check(url: &SecretString) -> Result<(), SmtpUrlError> {
        server(url).map(drop)
    }
}

fn server(url: &SecretString) -> Result<AsyncSmtpTransportBuilder, SmtpUrlError> {
    AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose_secret()).map_err(|_| SmtpUrlError)
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let refused = |err: Box<dyn std::error::Error + Send + Sync>| MailError::Refused(err);
        let to = mail.to.parse().map_err(|_| refused("the address is none".into()))?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(mail.subject.as_str())
            .message_id(None)
            .header(ContentType::TEXT_PLAIN)
            .body(mail.text.expose_secret().to_owned())
            .map_err(|err| refused(err.into()))?;
        match self.server.send(message).await {
            Ok(_) => Ok(()),
            Err(err) if err.is_permanent() => Err(refused(err.into())),
            Err(err) => Err(MailError::Failed(err.into())),
        }
    }
}
