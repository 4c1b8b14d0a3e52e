//! Tries of a name, counted over all addresses: so many guesses from all over the world are still only so many. Sessions and
//! devices that are signed in do not notice.

use std::fmt;
use std::net::IpAddr;

use devpocket_shared::ids::UserId;
use uuid::Uuid;

use super::{AccountError, Accounts, counted_address};
use crate::counts;
use crate::domain::limits::{BY_NAME, Class, Counted, NAME_BUCKET, Subject};
use crate::domain::user::{LoginName, User};

/// What a name is tried for. Each is counted for itself: whoever asks for mails to somebody, or registers their name, which costs
/// nothing and closes no door, must not keep them from signing in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Try {
    Login,
    Register,
    Mail,
    Reset,
}

/// Whose name is tried: an account by its id, so that its two names do not give twice the tries.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Tried {
    Account(UserId),
    Nobody(String),
}

impl Accounts {
    /// Counts a try of whatever has this name.
    pub(super) async fn count_try(&self, what: Try, tried: &Tried) -> Result<(), AccountError> {
        self.take_try(format!("{what} {tried}")).await
    }

    /// Counts a try to sign in. Strangers who have used up all that a name is tried are in nobody's way where the account was
    /// signed in before: what is tried from there is counted by itself.
    pub(super) async fn count_login(&self, tried: &Tried, address: IpAddr) -> Result<(), AccountError> {
        let refused = match self.count_try(Try::Login, tried).await {
            Err(refused @ AccountError::TooMany(_)) => refused,
            counted => return counted,
        };
        // Asked for nobody too: the time tells no more than the answer.
        let user_id = match tried {
            Tried::Account(user_id) => *user_id,
            Tried::Nobody(_) => UserId::new(Uuid::nil()),
        };
        let address = counted_address(address);
        // Who has just signed in with the right password has opened no further tries by that.
        let known = self.devices.addresses(user_id, self.clock.now() - BY_NAME.per).await?;
        if !known.into_iter().any(|known| counted_address(known) == address) {
            return Err(refused);
        }
        self.take_try(format!("{} {tried} at {address}", Try::Login)).await
    }

    /// Counts a try of a name of which no more than that is wanted: whoever asks learns from the time it takes no more than
    /// from the answer.
    pub(super) async fn count_mail(&self, name: &LoginName) -> Result<(), AccountError> {
        let tried = match self.users.id_by_login(name).await? {
            Some(id) => Tried::Account(id),
            None => Tried::Nobody(name.key().to_owned()),
        };
        self.count_try(Try::Mail, &tried).await
    }

    /// The account of a name, and what tries of that name are counted under.
    pub(super) async fn tried(&self, name: &LoginName) -> Result<(Option<User>, Tried), AccountError> {
        let user = self.users.user_by_login(name).await?;
        let nobody = || Tried::Nobody(name.key().to_owned());
        let tried = user.as_ref().map_or_else(nobody, |user| Tried::Account(user.id));
        Ok((user, tried))
    }

    async fn take_try(&self, of: String) -> Result<(), AccountError> {
        if !self.around.limits {
            return Ok(());
        }
        let taken = self.around.coordination.take(Class::Auth, &Subject::Name(of), BY_NAME).await;
        match taken.refused_for {
            None => Ok(()),
            Some(_) => {
                counts::rate_limited(NAME_BUCKET);
                Err(AccountError::TooMany(Counted { bucket: NAME_BUCKET, quota: BY_NAME, taken }))
            }
        }
    }
}

impl fmt::Display for Try {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Login => "login of",
            Self::Register => "registration of",
            Self::Mail => "mail to",
            Self::Reset => "reset of",
        })
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(id) => write!(f, "account {id}"),
            Self::Nobody(name) => write!(f, "name {name}"),
        }
    }
}
