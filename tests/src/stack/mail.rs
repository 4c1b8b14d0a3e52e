//! The mails that apis without a mail server write to files. Must not know what their links are for.

use std::fs;

use super::{START_LIMIT, Stack};
use crate::wait_for;

impl Stack {
    /// The secret in the first mail to an address with such a subject, once it is there.
    pub async fn mailed_secret(&self, email: &str, subject: &str) -> String {
        wait_for(&format!("the mail {subject:?} to {email}"), START_LIMIT, async || {
            let mails = fs::read_dir(self.place.path("api/mail")).ok()?.flatten();
            let texts = mails.filter_map(|entry| fs::read_to_string(entry.path()).ok());
            let begin = format!("To: {email}\nSubject: {subject}");
            texts.filter(|mail| mail.starts_with(&begin)).find_map(|mail| secret_in(&mail))
        })
        .await
    }
}

/// The secret in a mail: its one word of 64 hex digits.
fn secret_in(mail: &str) -> Option<String> {
    let is_secret = |word: &&str| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
    mail.split(|c: char| c.is_whitespace() || c == '/').find(is_secret).map(str::to_owned)
}
