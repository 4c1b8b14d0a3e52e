//! Links sent by mail: a new password, and the proof of an address.

use std::net::IpAddr;

use secrecy::{ExposeSecret, SecretString};

use super::errands::Errand;
use super::sign_in::Attempt;
use super::tries::{Tried, Try};
use super::{AccountError, Accounts};
use crate::domain::password::weakness;
use crate::domain::secret_token::hash;
use crate::domain::user::{Email, LoginName, MailPurpose};

impl Accounts {
    /// Has a link for a new password sent to whoever has this address. Does and takes the same whether anybody has.
    pub async fn forgot_password(&self, email: Email) -> Result<(), AccountError> {
        self.promise_mail(&email).await?;
        self.around.errands.put(Errand::Reset(email))
    }

    /// Has a link that proves an address sent to whoever has it. Does and takes the same whether anybody has.
    pub async fn request_verification(&self, email: Email) -> Result<(), AccountError> {
        self.promise_mail(&email).await?;
        self.around.errands.put(Errand::Verify(email))
    }

    /// Whether a mail to this address can be promised, asked for all alike: with the database away, or where it is known to
    /// take no writes, no link could be stored.
    async fn promise_mail(&self, email: &Email) -> Result<(), AccountError> {
        self.count_mail(&LoginName::Email(email.key())).await?;
        Ok(self.mail_tokens.takes_mail_tokens()?)
    }

    /// Sets a new password by a link, which is used up, and signs every device out.
    pub async fn reset_password(
        &self,
        token: SecretString,
        new: SecretString,
        address: IpAddr,
    ) -> Result<(), AccountError> {
        let (token, now) = (hash(&token), self.clock.now());
        // Before anything is hashed: it would be work that anybody can ask for.
        let owner = self.mail_tokens.mail_token_owner(token, MailPurpose::Reset, now).await?;
        let owner = owner.ok_or(AccountError::LinkRefused)?;
        // Not by the name that others may try: they must not keep its owner from the way out.
        self.count_try(Try::Reset, &Tried::Account(owner)).await?;
        if let Some(weakness) = weakness(new.expose_secret()) {
            return Err(AccountError::WeakPassword(weakness));
        }
        let password = self.passwords.hash(new).await?;
        let reset = self.mail_tokens.reset_password(token, &password, now).await?;
        let (user_id, signed_out) = reset.ok_or(AccountError::LinkRefused)?;
        self.revoke(&signed_out).await;
        self.around.coordination.forget(&Attempt::at_account(user_id, address).key()).await;
        Ok(())
    }

    /// Whether a link would prove an address; it stays as good as it is.
    pub async fn check_verification(&self, token: &SecretString) -> Result<(), AccountError> {
        let (token, now) = (hash(token), self.clock.now());
        let owner = self.mail_tokens.mail_token_owner(token, MailPurpose::Verify, now).await?;
        owner.map(|_| ()).ok_or(AccountError::LinkRefused)
    }

    /// Takes a link as the proof of the address it was sent to.
    pub async fn verify_email(&self, token: &SecretString) -> Result<(), AccountError> {
        let proved = self.mail_tokens.verify_email(hash(token), self.clock.now()).await?;
        if proved { Ok(()) } else { Err(AccountError::LinkRefused) }
    }
}
