//! An account and the names it goes by. Knows nothing of passwords, tokens or storage.

use std::net::IpAddr;

use devpocket_shared::ids::{DeviceId, UserId};
use secrecy::SecretString;
use time::OffsetDateTime;

/// An account.
#[derive(Clone, Debug)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Where mail reaches it, as its owner wrote it.
    pub email: String,
    /// What it signs in with, as its owner wrote it.
    pub username: String,
    /// A name for people.
    pub display_name: Option<String>,
    /// argon2id in PHC form; none: only a first-run link signs in.
    pub password_hash: Option<SecretString>,
    /// What it pays for.
    pub tier: Tier,
    /// Until when that is paid for; none: for good.
    pub tier_until: Option<OffsetDateTime>,
    /// False: an administrator closed it.
    pub is_active: bool,
    /// The mail address was proved.
    pub is_verified: bool,
    /// May do what administrators may.
    pub is_admin: bool,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it last signed in.
    pub last_login_at: Option<OffsetDateTime>,
}

impl User {
    /// What it has now: a tier that is not paid for any more is [`Tier::Free`].
    pub fn tier_at(&self, now: OffsetDateTime) -> Tier {
        if self.tier_until.is_some_and(|until| until <= now) { Tier::Free } else { self.tier }
    }
}

/// Subscription tier (API.md section 2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tier {
    /// What everybody has.
    Free,
    /// One person, more of everything.
    Pro,
    /// Several people.
    Team,
    /// No bounds of ours; what a standalone server gives its owner.
    Enterprise,
}

impl Tier {
    /// Every tier.
    pub const ALL: [Self; 4] = [Self::Free, Self::Pro, Self::Team, Self::Enterprise];

    /// The word in storage and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Pro => "pro",
            Self::Team => "team",
            Self::Enterprise => "enterprise",
        }
    }

    /// The tier of a word of [`Tier::as_str`].
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.as_str() == word)
    }
}

/// A mail address that could be real: printable ASCII, one `@`, a domain with a dot, at most 254 bytes (RFC 5321).
///
/// ASCII only, so that no two look alike.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Email(String);

impl Email {
    /// Takes `text` if it could be an address.
    pub fn parse(text: &str) -> Option<Self> {
        let (local, domain) = text.rsplit_once('@')?;
        let good_local = (1..=64).contains(&local.len())
            && local.bytes().all(|b| b.is_ascii_graphic() && !b"@,;:<>()[]\\\"".contains(&b))
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..");
        let good_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let good_domain = domain.contains('.') && domain.split('.').all(good_label);
        (text.len() <= 254 && good_local && good_domain).then(|| Self(text.to_owned()))
    }

    /// The address of the account a first-run link makes: nobody reads mail there.
    pub fn of_owner() -> Self {
        Self("owner@localhost".to_owned())
    }

    /// As its owner wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As it is compared.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

/// An account's name: 3 to 30 of `A-Z a-z 0-9 _ -`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Username(String);

impl Username {
    /// Takes `text` if it is a name.
    pub fn parse(text: &str) -> Option<Self> {
        let good = (3..=30).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        good.then(|| Self(text.to_owned()))
    }

    /// The name of the account a first-run link makes.
    pub fn of_owner() -> Self {
        Self("owner".to_owned())
    }

    /// As its owner wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As it is compared.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

/// What somebody signs in with. A username has no `@`, so the two never meet.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum LoginName {
    /// [`Email::key`].
    Email(String),
    /// [`Username::key`].
    Username(String),
}

impl LoginName {
    /// As it is compared.
    pub fn key(&self) -> &str {
        match self {
            Self::Email(key) | Self::Username(key) => key,
        }
    }

    /// Reads any text; one that is nobody's name finds nobody.
    pub fn parse(text: &str) -> Self {
        let key = text.trim().to_ascii_lowercase();
        if key.contains('@') { Self::Email(key) } else { Self::Username(key) }
    }
}

/// Whether `text` may stand as a name where others are listed: it neither steers the terminal that shows it (control
/// characters) nor turns the text beside it (the embeddings, overrides and isolates of Unicode's UAX #9).
pub fn is_shown_as_it_is(text: &str) -> bool {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !text.contains(|c: char| c.is_control() || turns(c))
}

/// What a client says of the device it runs on.
#[derive(Clone, Debug, Default)]
pub struct DeviceInfo {
    /// A name for people.
    pub name: Option<String>,
    /// What it is.
    pub kind: Option<DeviceKind>,
}

/// Kinds of device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DeviceKind {
    /// iPhone, iPad.
    Ios,
    /// Android.
    Android,
    /// A browser.
    Web,
    /// A command line.
    Cli,
}

impl DeviceKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Ios, Self::Android, Self::Web, Self::Cli];

    /// The word in storage and requests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ios => "ios",
            Self::Android => "android",
            Self::Web => "web",
            Self::Cli => "cli",
        }
    }

    /// The kind of a word of [`DeviceKind::as_str`].
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Ios, Self::Android, Self::Web, Self::Cli].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// A device as it is signed in.
#[derive(Clone, Debug)]
pub struct NewDevice {
    /// The id it gets.
    pub id: DeviceId,
    /// Whose it is.
    pub user_id: UserId,
    /// What it says of itself.
    pub info: DeviceInfo,
    /// Where it signs in from.
    pub address: IpAddr,
    /// [`User::password_hash`] as it was when its right to sign in was looked at.
    pub password_hash: Option<SecretString>,
}

/// A device that is signed in.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// What it says of itself.
    pub info: DeviceInfo,
    /// When it signed in.
    pub created_at: OffsetDateTime,
    /// When it last signed in or went on with a refresh token.
    pub last_seen_at: OffsetDateTime,
    /// Where from.
    pub address: Option<IpAddr>,
    /// When it was signed out.
    pub signed_out_at: Option<OffsetDateTime>,
}

/// What a link sent by mail is good for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MailPurpose {
    /// A new password.
    Reset,
    /// The proof of an address.
    Verify,
}

impl MailPurpose {
    /// The word in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Verify => "verify",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_could_be_real_and_is_compared_without_case() {
        let check = |text: &str, good: bool| assert_eq!(Email::parse(text).is_some(), good, "{text:?}");
        for good in ["a@b.co", "First.Last+tag@sub.example.com", "x_y-z@xn--bcher-kva.example"] {
            check(good, true);
        }
        for bad in [
            "",
            "a",
            "@b.co",
            "a@",
            "a@b",
            "a@.co",
            "a@b..co",
            "a@-b.co",
            "a b@c.de",
            "a@b@c.de",
            ".a@b.co",
            "a..b@c.de",
            "a@b.co\n",
            "ä@b.co",
            "a@bücher.example",
            "\"a\"@b.co",
            "a@b.co,c@d.ef",
        ] {
            check(bad, false);
        }
        check(&format!("{}@b.co", "a".repeat(65)), false);
        assert_eq!(Email::parse("A@B.Co").unwrap().key(), "a@b.co");
    }

    #[test]
    fn a_username_has_three_to_thirty_plain_characters() {
        for good in ["abc", "A_b-9", &"x".repeat(30)] {
            assert!(Username::parse(good).is_some(), "{good:?}");
        }
        for bad in ["", "ab", "a b", "a@b", "añb", &"x".repeat(31), "abc\n"] {
            assert!(Username::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_login_name_is_read_as_what_it_can_only_be() {
        assert_eq!(LoginName::parse(" A@B.co "), LoginName::Email("a@b.co".into()));
        assert_eq!(LoginName::parse("Ann"), LoginName::Username("ann".into()));
    }
}
