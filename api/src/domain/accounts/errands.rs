//! What is done for an account after its request was answered: mails. Off the request, so that an answer neither waits for a
//! mail server nor tells by its time whether there is an account.

use std::pin::pin;
use std::time::Duration as StdDuration;

use futures_util::StreamExt;
use secrecy::ExposeSecret;
use time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::{AccountError, Accounts};
use crate::domain::mail::{Mail, MailError};
use crate::domain::secret_token;
use crate::domain::user::{Email, LoginName, MailPurpose, User};
use crate::store::{NewMailToken, StoreError};

/// Errands that wait. Each is a mail, and one api sends a few a second; beyond it people are told to come back.
const CAPACITY: usize = 1000;
/// Errands done side by side: one slow mail server connection does not hold up all others. Those that wait for a further try are none
/// of them.
const AT_ONCE: usize = 4;
/// How long an errand rests, at least: the answer is on its way meanwhile, and would take a little longer where there is an
/// account and so more to do.
const LATER: StdDuration = StdDuration::from_millis(200);
/// How long handing one mail on may take.
const SEND: StdDuration = StdDuration::from_secs(30);
/// Waits before each further try to hand it on.
const RETRIES: [StdDuration; 2] = [StdDuration::from_secs(5), StdDuration::from_secs(30)];
/// Waits before each further try to store its link, in seconds: for so many minutes may the database be away, or its disk be
/// full, after the mail was promised.
const STORE_RETRIES: [u64; 8] = [1, 5, 15, 30, 60, 60, 60, 60];
/// Good links of one kind an account has at most: so many mails can somebody else have sent to it within their life.
const MOST_LINKS: i64 = 5;
/// How long a link for a new password works.
const RESET_LIFE: Duration = Duration::hours(1);
/// How long a link that proves an address works.
const VERIFY_LIFE: Duration = Duration::hours(24);

/// Something to do later.
#[derive(Debug)]
pub(super) enum Errand {
    /// Send a link for a new password to whoever has this address.
    Reset(Email),
    /// Send a link that proves this address to whoever has it and has not yet.
    Verify(Email),
    /// Tell an address that its account has another one now.
    Moved(String),
}

/// Where errands are put.
#[derive(Clone, Debug)]
pub struct Errands(mpsc::Sender<(Instant, Errand)>);

/// Where errands are taken from, by [`Accounts::run_errands`].
#[derive(Debug)]
pub struct ErrandQueue(mpsc::Receiver<(Instant, Errand)>);

/// A queue of errands.
pub fn errands() -> (Errands, ErrandQueue) {
    let (errands, queue) = mpsc::channel(CAPACITY);
    (Errands(errands), ErrandQueue(queue))
}

impl Errands {
    pub(super) fn put(&self, errand: Errand) -> Result<(), AccountError> {
        self.0.try_send((Instant::now(), errand)).map_err(|_| AccountError::MailBusy)
    }
}

impl Accounts {
    /// Does errands until `stop`, and those that were put before it.
    pub async fn run_errands(&self, queue: ErrandQueue, stop: CancellationToken) {
        let ErrandQueue(mut queue) = queue;
        let mut stopped = pin!(stop.cancelled());
        let errands = futures_util::stream::poll_fn(|context| {
            if !queue.is_closed() && stopped.as_mut().poll(context).is_ready() {
                queue.close();
            }
            queue.poll_recv(context)
        });
        let doing = Doing { turns: Semaphore::new(AT_ONCE), stop: stop.clone() };
        let doing = &doing;
        let errands = errands.for_each_concurrent(CAPACITY, async |(put, errand)| {
            // That the api stops is no reason for more haste: it waits longer than this.
            sleep_until(put + LATER).await;
            self.run_errand(errand, doing).await;
        });
        errands.await;
    }

    async fn run_errand(&self, errand: Errand, doing: &Doing) {
        let mail = match errand {
            Errand::Reset(email) => self.stored_link_mail(&email, MailPurpose::Reset, doing).await,
            Errand::Verify(email) => self.stored_link_mail(&email, MailPurpose::Verify, doing).await,
            Errand::Moved(to) => Ok(Some(moved_mail(to, &self.policy.project))),
        };
        match mail {
            Ok(Some(mail)) => self.deliver(&mail, doing).await,
            Ok(None) => debug!("a mail was asked for that nobody gets"),
            Err(err) => error!(error = &err as &dyn std::error::Error, "a mail was not written: {err}"),
        }
    }

    /// As [`Accounts::link_mail`]; tries again while the database may come back. The last tries are left out when the api stops.
    async fn stored_link_mail(
        &self,
        email: &Email,
        purpose: MailPurpose,
        doing: &Doing,
    ) -> Result<Option<Mail>, AccountError> {
        let mut retries = STORE_RETRIES.iter();
        loop {
            let failed = match doing.in_turn(self.link_mail(email, purpose)).await {
                Err(AccountError::Store(failed @ StoreError::Unavailable(_))) => failed,
                done => return done,
            };
            let Some(wait) = retries.next().filter(|_| !doing.stop.is_cancelled()) else {
                return Err(failed.into());
            };
            warn!(
                error = &failed as &dyn std::error::Error,
                "a mail cannot be written: {failed}; trying again in {wait} s"
            );
            drop(failed);
            doing.rest(StdDuration::from_secs(*wait)).await;
        }
    }

    /// The mail with a fresh link for the account of this address; none if there is no such account, or nothing to send.
    async fn link_mail(&self, email: &Email, purpose: MailPurpose) -> Result<Option<Mail>, AccountError> {
        let Some(user) = self.users.user_by_login(&LoginName::Email(email.key())).await? else {
            return Ok(None);
        };
        let life = match purpose {
            MailPurpose::Reset => RESET_LIFE,
            MailPurpose::Verify if user.is_verified => return Ok(None),
            MailPurpose::Verify => VERIFY_LIFE,
        };
        if !user.is_active {
            return Ok(None);
        }
        let (secret, now) = (secret_token::random()?, self.clock.now());
        let token = NewMailToken {
            hash: secret_token::hash(&secret),
            user_id: user.id,
            purpose,
            email_key: email.key(),
            expires_at: now + life,
        };
        if !self.mail_tokens.add_mail_token(&token, MOST_LINKS, now).await? {
            return Ok(None);
        }
        let project = &self.policy.project;
        Ok(Some(match purpose {
            MailPurpose::Reset => reset_mail(&user, project, secret.expose_secret()),
            MailPurpose::Verify => {
                verify_mail(&user, project, &self.policy.public_url, secret.expose_secret())
            }
        }))
    }

    /// Tries three times; the last tries are left out when the api stops.
    async fn deliver(&self, mail: &Mail, doing: &Doing) {
        let mut retries = RETRIES.iter();
        loop {
            let failed = match doing.in_turn(timeout(SEND, self.around.mailer.send(mail))).await {
                Ok(Ok(())) => return,
                Ok(Err(failed)) => failed,
                Err(elapsed) => MailError::Failed(elapsed.into()),
            };
            let wait = match failed {
                MailError::Failed(_) => retries.next().filter(|_| !doing.stop.is_cancelled()),
                MailError::Refused(_) => None,
            };
            let Some(wait) = wait else {
                error!(error = &failed as &dyn std::error::Error, "a mail is given up: {failed}");
                return;
            };
            warn!(error = &failed as &dyn std::error::Error, "{failed}; trying again in {wait:?}");
            drop(failed);
            doing.rest(*wait).await;
        }
    }
}

/// What errands have in common while they are done.
struct Doing {
    turns: Semaphore,
    stop: CancellationToken,
}

impl Doing {
    /// Does what takes a turn.
    async fn in_turn<T>(&self, work: impl Future<Output = T>) -> T {
        let _turn = self.turns.acquire().await;
        work.await
    }

    /// Waits before a further try, and no longer than until the api stops.
    async fn rest(&self, wait: StdDuration) {
        self.stop.run_until_cancelled(sleep(wait)).await;
    }
}

fn reset_mail(user: &User, project: &str, token: &str) -> Mail {
    let text = format!(
        "Hello {},\n\nsomebody, probably you, asked for a new password of your {project} account. Where {project} asks for\n\
         the code from this mail, enter\n\n{token}\n\nIt works once, for an hour, and signs every device out. If it was not you,\n\
         do nothing: your password stays as it is.\n",
        user.username
    );
    Mail { to: user.email.clone(), subject: format!("Your {project} password"), text: text.into() }
}

fn verify_mail(user: &User, project: &str, public_url: &str, token: &str) -> Mail {
    let base = public_url.trim_end_matches('/');
    let text = format!(
        "Hello {},\n\nto confirm that this is the address of your {project} account, open\n\n\
         {base}/api/auth/verify-email/{token}\n\nwithin 24 hours. If you have no account there, do nothing.\n",
        user.username
    );
    let subject = format!("Confirm your address for {project}");
    Mail { to: user.email.clone(), subject, text: text.into() }
}

fn moved_mail(to: String, project: &str) -> Mail {
    let text = format!(
        "Hello,\n\nyour {project} account has another mail address now. If it was not you who changed it, sign in, change your\n\
         password and set the address back.\n"
    );
    Mail { to, subject: format!("The address of your {project} account has changed"), text: text.into() }
}
