//! Kept answers in SQL: of requests that came with a key, each is done once.

use async_trait::async_trait;
use devpocket_shared::ids::UserId;
use time::OffsetDateTime;
use uuid::Uuid;

use super::statement::{Statement, sql};
use super::{Database, StoreError, from_micros};

/// Names a request: whose, where, and by which key.
#[derive(Clone, Copy, Debug)]
pub struct AnswerKey<'a> {
    /// Whose it is.
    pub user_id: UserId,
    /// The route it was sent to.
    pub route: &'a str,
    /// A hash of the key.
    pub key_hash: &'a [u8],
}

/// An attempt to do what a request asks for.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// Its own id.
    pub id: Uuid,
    /// What the body is told apart by.
    pub fingerprint: &'a [u8],
    /// The id of what is made, unless an attempt before has chosen one.
    pub resource_id: Uuid,
    /// Until when nobody else tries.
    pub held_until: OffsetDateTime,
    /// Until when the answer is kept.
    pub expires_at: OffsetDateTime,
}

/// An answer as it is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeptAnswer {
    /// Its status.
    pub status: u16,
    /// Its body, JSON.
    pub body: Vec<u8>,
}

/// What became of [`AnswerStore::begin_answer`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Begun {
    /// It is to be done now, making something of this id.
    Now(Uuid),
    /// Another attempt is under way; if its api died, it is given up at this time.
    UnderWay(OffsetDateTime),
    /// It was done.
    Done(KeptAnswer),
    /// The key was used with another body.
    Reused,
    /// There is no such account any more.
    OwnerGone,
}

/// What became of [`AnswerStore::begin_command`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BegunCommand {
    /// It is to be typed now.
    Now,
    /// Another attempt types it; if its api died, that is known at this time.
    UnderWay(OffsetDateTime),
    /// Its shell has begun it, as its session's command of this number.
    Started(u64),
    /// It was answered.
    Done(KeptAnswer),
    /// An attempt ended without a word: it may have been typed.
    Unknown,
    /// The key was used for another command.
    Reused,
    /// There is no such account any more.
    OwnerGone,
}

/// Answers to requests with a key.
#[async_trait]
pub trait AnswerStore: Send + Sync {
    /// Forgets answers that are not kept any longer, whosever they are.
    async fn forget_expired(&self, now: OffsetDateTime) -> Result<(), StoreError>;
    /// Begins an attempt, unless there is one or an answer. One that its api left behind is taken over.
    async fn begin_answer(
        &self,
        key: AnswerKey<'_>,
        attempt: Attempt<'_>,
        now: OffsetDateTime,
    ) -> Result<Begun, StoreError>;
    /// Keeps the answer of an attempt that is under way still.
    async fn keep_answer(
        &self,
        key: AnswerKey<'_>,
        attempt: Uuid,
        answer: &KeptAnswer,
    ) -> Result<(), StoreError>;
    /// Ends an attempt that came to nothing, as far as is known: the same may be tried again, and makes something of the
    /// same id.
    async fn release_answer(&self, key: AnswerKey<'_>, attempt: Uuid) -> Result<(), StoreError>;
    /// Begins to type a command, unless it was begun before. No attempt is taken over: what was typed stays typed.
    async fn begin_command(
        &self,
        key: AnswerKey<'_>,
        attempt: Attempt<'_>,
        now: OffsetDateTime,
    ) -> Result<BegunCommand, StoreError>;
    /// Its shell has begun it, as its session's command of this number.
    async fn note_started(
        &self,
        key: AnswerKey<'_>,
        attempt: Uuid,
        command_number: u64,
    ) -> Result<(), StoreError>;
    /// Nothing was typed: the same may be tried again. False: there was nothing to forget.
    async fn forget_command(&self, key: AnswerKey<'_>, attempt: Uuid) -> Result<bool, StoreError>;
    /// Bytes that are kept of an account's answers.
    async fn kept_bytes(&self, user_id: UserId) -> Result<i64, StoreError>;
    /// Keeps the answer about a command, unless another one is kept: then that is the answer.
    async fn keep_first_answer(
        &self,
        key: AnswerKey<'_>,
        answer: &KeptAnswer,
    ) -> Result<Option<KeptAnswer>, StoreError>;
}

#[async_trait]
impl AnswerStore for Database {
    async fn forget_expired(&self, now: OffsetDateTime) -> Result<(), StoreError> {
        self.execute(sql("delete from kept_answers where expires_at <= $1").bind(now)).await?;
        Ok(())
    }

    async fn begin_answer(
        &self,
        key: AnswerKey<'_>,
        attempt: Attempt<'_>,
        now: OffsetDateTime,
    ) -> Result<Begun, StoreError> {
        let insert = sql("insert into kept_answers
                (user_id, route, key_hash, fingerprint, attempt_id, held_until, resource_id, expires_at)
             select $1, $2, $3, $4, $5, $6, $7, $8 where exists (select 1 from users where id = $1)
             on conflict (user_id, route, key_hash) do update set
                 attempt_id = excluded.attempt_id, held_until = excluded.held_until
             where kept_answers.status is null and kept_answers.held_until <= $9
                 and kept_answers.fingerprint = excluded.fingerprint
             returning resource_id");
        let insert = of(insert, key)
            .bind(attempt.fingerprint)
            .bind(attempt.id)
            .bind(attempt.held_until)
            .bind(attempt.resource_id)
            .bind(attempt.expires_at)
            .bind(now);
        match self.optional::<(Uuid,)>(insert).await {
            Ok(Some((resource_id,))) => return Ok(Begun::Now(resource_id)),
            Ok(None) => {}
            // Its deletion was under way, and is done.
            Err(err) if err.is_orphan() => return Ok(Begun::OwnerGone),
            Err(err) => return Err(err),
        }
        let select = sql("select fingerprint, status, body, held_until from kept_answers
             where user_id = $1 and route = $2 and key_hash = $3");
        type Row = (Vec<u8>, Option<i64>, Option<Vec<u8>>, i64);
        let row: Option<Row> = self.optional(of(select, key)).await?;
        Ok(match row {
            Some((fingerprint, ..)) if fingerprint != attempt.fingerprint => Begun::Reused,
            Some((_, Some(status), body, _)) => Begun::Done(kept(status, body)?),
            Some((_, None, _, held_until)) => Begun::UnderWay(from_micros(held_until)?),
            None => {
                // Or the time of what was kept has come to its end just now.
                if self.has_owner(key).await? { Begun::UnderWay(now) } else { Begun::OwnerGone }
            }
        })
    }

    async fn keep_answer(
        &self,
        key: AnswerKey<'_>,
        attempt: Uuid,
        answer: &KeptAnswer,
    ) -> Result<(), StoreError> {
        let update = sql("update kept_answers set status = $5, body = $6
             where user_id = $1 and route = $2 and key_hash = $3 and attempt_id = $4 and status is null");
        let update =
            of(update, key).bind(attempt).bind(i64::from(answer.status)).bind(answer.body.as_slice());
        self.execute(update).await?;
        Ok(())
    }

    async fn release_answer(&self, key: AnswerKey<'_>, attempt: Uuid) -> Result<(), StoreError> {
        let update = sql("update kept_answers set held_until = 0
             where user_id = $1 and route = $2 and key_hash = $3 and attempt_id = $4 and status is null");
        self.execute(of(update, key).bind(attempt)).await?;
        Ok(())
    }

    async fn begin_command(
        &self,
        key: AnswerKey<'_>,
        attempt: Attempt<'_>,
        now: OffsetDateTime,
    ) -> Result<BegunCommand, StoreError> {
        let insert = sql("insert into kept_answers
                (user_id, route, key_hash, fingerprint, attempt_id, held_until, resource_id, expires_at)
             select $1, $2, $3, $4, $5, $6, $7, $8 where exists (select 1 from users where id = $1)
             on conflict (user_id, route, key_hash) do nothing
             returning true");
        let insert = of(insert, key)
            .bind(attempt.fingerprint)
            .bind(attempt.id)
            .bind(attempt.held_until)
            .bind(attempt.resource_id)
            .bind(attempt.expires_at);
        match self.optional::<(bool,)>(insert).await {
            Ok(Some(_)) => return Ok(BegunCommand::Now),
            Ok(None) => {}
            // Its deletion was under way, and is done.
            Err(err) if err.is_orphan() => return Ok(BegunCommand::OwnerGone),
            Err(err) => return Err(err),
        }
        let select = sql("select fingerprint, status, body, command_number, held_until from kept_answers
             where user_id = $1 and route = $2 and key_hash = $3");
        type Row = (Vec<u8>, Option<i64>, Option<Vec<u8>>, Option<i64>, i64);
        let row: Option<Row> = self.optional(of(select, key)).await?;
        Ok(match row {
            Some((fingerprint, ..)) if fingerprint != attempt.fingerprint => BegunCommand::Reused,
            Some((_, Some(status), body, ..)) => BegunCommand::Done(kept(status, body)?),
            Some((_, None, _, Some(number), _)) => BegunCommand::Started(
                u64::try_from(number).map_err(|_| StoreError::corrupt("a command's number that is none"))?,
            ),
            Some((_, None, _, None, held_until)) => match from_micros(held_until)? {
                held_until if held_until <= now => BegunCommand::Unknown,
                held_until => BegunCommand::UnderWay(held_until),
            },
            // Or it was found a moment ago that nothing was typed.
            None if self.has_owner(key).await? => BegunCommand::UnderWay(now),
            None => BegunCommand::OwnerGone,
        })
    }

    async fn note_started(
        &self,
        key: AnswerKey<'_>,
        attempt: Uuid,
        command_number: u64,
    ) -> Result<(), StoreError> {
        let number =
            i64::try_from(command_number).map_err(|_| StoreError::corrupt("a number beyond all commands"))?;
        let update = sql("update kept_answers set command_number = $5
             where user_id = $1 and route = $2 and key_hash = $3 and attempt_id = $4 and status is null");
        self.execute(of(update, key).bind(attempt).bind(number)).await?;
        Ok(())
    }

    async fn forget_command(&self, key: AnswerKey<'_>, attempt: Uuid) -> Result<bool, StoreError> {
        let delete = sql("delete from kept_answers
             where user_id = $1 and route = $2 and key_hash = $3 and attempt_id = $4 and status is null
                 and command_number is null");
        Ok(self.execute(of(delete, key).bind(attempt)).await? > 0)
    }

    async fn kept_bytes(&self, user_id: UserId) -> Result<i64, StoreError> {
        let sum =
            sql("select cast(coalesce(sum(length(body)), 0) as bigint) from kept_answers where user_id = $1");
        Ok(self.optional::<(i64,)>(sum.bind(user_id)).await?.map_or(0, |(bytes,)| bytes))
    }

    async fn keep_first_answer(
        &self,
        key: AnswerKey<'_>,
        answer: &KeptAnswer,
    ) -> Result<Option<KeptAnswer>, StoreError> {
        let update = sql("update kept_answers set status = $4, body = $5
             where user_id = $1 and route = $2 and key_hash = $3 and status is null");
        let update = of(update, key).bind(i64::from(answer.status)).bind(answer.body.as_slice());
        if self.execute(update).await? > 0 {
            return Ok(None);
        }
        let select = sql("select status, body from kept_answers
             where user_id = $1 and route = $2 and key_hash = $3 and status is not null");
        let row: Option<(i64, Option<Vec<u8>>)> = self.optional(of(select, key)).await?;
        row.map(|(status, body)| kept(status, body)).transpose()
    }
}

impl Database {
    async fn has_owner(&self, key: AnswerKey<'_>) -> Result<bool, StoreError> {
        let owner = sql("select true from users where id = $1").bind(key.user_id);
        Ok(self.optional::<(bool,)>(owner).await?.is_some())
    }
}

fn kept(status: i64, body: Option<Vec<u8>>) -> Result<KeptAnswer, StoreError> {
    let status = u16::try_from(status).map_err(|_| StoreError::corrupt("a status that is none"))?;
    Ok(KeptAnswer { status, body: body.unwrap_or_default() })
}

fn of(statement: Statement, key: AnswerKey<'_>) -> Statement {
    statement.bind(key.user_id).bind(key.route).bind(key.key_hash)
}

#[cfg(test)]
mod tests;
