//! Sending mails: by SMTP, or into files where there is no mail server. Knows nothing of what they say.

mod files;
mod smtp;

use std::sync::Arc;

use crate::domain::mail::Mailer;

pub use files::FileMailer;
pub use smtp::{SmtpMailer, SmtpUrlError};

/// Something that sends mails.
pub type AnyMailer = Arc<dyn Mailer>;
