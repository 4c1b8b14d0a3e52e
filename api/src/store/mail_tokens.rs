//! Links sent by mail in SQL.

use async_trait::async_trait;
use devpocket_shared::ids::{DeviceId, UserId};
use secrecy::SecretString;
use time::OffsetDateTime;
use uuid::Uuid;

use super::database::Transaction;
use super::devices::sign_out_but;
use super::statement::sql;
use super::{Database, MailTokenStore, NewMailToken, StoreError};
use crate::domain::secret_token::SecretHash;
use crate::domain::user::MailPurpose;

#[async_trait]
impl MailTokenStore for Database {
    fn takes_mail_tokens(&self) -> Result<(), StoreError> {
        self.takes_writes()
    }

    async fn add_mail_token(
        &self,
        token: &NewMailToken,
        most: i64,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        // Changes nothing: it locks the account, in either dialect, so that the count below stays true.
        let lock = sql("update users set is_active = is_active where id = $1");
        transaction.execute(lock.bind(token.user_id)).await?;
        let delete = sql("delete from mail_tokens where user_id = $1 and expires_at <= $2");
        transaction.execute(delete.bind(token.user_id).bind(now)).await?;
        let insert = sql("insert into mail_tokens (token_hash, user_id, purpose, email_key, expires_at)
             select $1, users.id, $3, users.email_key, $5
             from users
             where users.id = $2 and users.email_key = $4
                 and (select count(*) from mail_tokens where user_id = $2 and purpose = $3) < $6");
        let insert = insert
            .bind(token.hash.as_bytes())
            .bind(token.user_id)
            .bind(token.purpose.as_str())
            .bind(token.email_key.as_str())
            .bind(token.expires_at)
            .bind(most);
        let added = transaction.execute(insert).await?;
        transaction.commit().await?;
        Ok(added > 0)
    }

    async fn mail_token_owner(
        &self,
        hash: SecretHash,
        purpose: MailPurpose,
        now: OffsetDateTime,
    ) -> Result<Option<UserId>, StoreError> {
        let select = sql("select user_id from mail_tokens
             where token_hash = $1 and purpose = $2 and expires_at > $3");
        let found: Option<(Uuid,)> =
            self.optional(select.bind(hash.as_bytes()).bind(purpose.as_str()).bind(now)).await?;
        Ok(found.map(|(user_id,)| UserId::new(user_id)))
    }

    async fn reset_password(
        &self,
        token: SecretHash,
        password: &SecretString,
        now: OffsetDateTime,
    ) -> Result<Option<(UserId, Vec<DeviceId>)>, StoreError> {
        let mut transaction = self.begin().await?;
        lock_owner(&mut transaction, token).await?;
        let take = sql("delete from mail_tokens
             where token_hash = $1 and purpose = $2 and expires_at > $3
             returning user_id");
        let take = take.bind(token.as_bytes()).bind(MailPurpose::Reset.as_str()).bind(now);
        let Some((user_id,)) = transaction.optional::<(Uuid,)>(take).await? else { return Ok(None) };
        let update = sql("update users set password_hash = $2 where id = $1 and is_active");
        if transaction.execute(update.bind(user_id).bind(password)).await? == 0 {
            return Ok(None);
        }
        // Nothing that was sent or signed in before the reset is worth anything after it.
        let delete = sql("delete from mail_tokens where user_id = $1 and purpose = $2");
        transaction.execute(delete.bind(user_id).bind(MailPurpose::Reset.as_str())).await?;
        let user_id = UserId::new(user_id);
        let signed_out = sign_out_but(&mut transaction, user_id, None, now).await?;
        transaction.commit().await?;
        Ok(Some((user_id, signed_out)))
    }

    async fn verify_email(&self, token: SecretHash, now: OffsetDateTime) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        lock_owner(&mut transaction, token).await?;
        let take = sql("delete from mail_tokens
             where token_hash = $1 and purpose = $2 and expires_at > $3
             returning user_id, email_key");
        let take = take.bind(token.as_bytes()).bind(MailPurpose::Verify.as_str()).bind(now);
        let Some((user_id, email_key)) = transaction.optional::<(Uuid, String)>(take).await? else {
            return Ok(false);
        };
        let update = sql("update users set is_verified = true where id = $1 and email_key = $2");
        let verified = transaction.execute(update.bind(user_id).bind(email_key)).await?;
        transaction.commit().await?;
        Ok(verified > 0)
    }
}

/// Changes nothing: it locks the account before its links, as everything that has to do with both does. Its deletion, which
/// takes the links with it, waits for this or is seen, and the two never wait for each other.
async fn lock_owner(transaction: &mut Transaction, token: SecretHash) -> Result<(), StoreError> {
    let lock = sql("update users set is_active = is_active
         where id = (select user_id from mail_tokens where token_hash = $1)");
    transaction.execute(lock.bind(token.as_bytes())).await?;
    Ok(())
}
