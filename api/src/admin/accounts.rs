//! Accounts, as an operator makes and changes them.

use std::io::{BufRead, Read, stdin};

use devpocket_shared::ids::UserId;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::devices::{NOT_TOLD, tell};
use super::{AdminError, Outcome, Page, find_user, table, timestamp, written};
use crate::config::AgreementArgs;
use crate::domain::password::{MAX_CHARACTERS, Passwords, weakness};
use crate::domain::secret_token::{self, NoRandomness};
use crate::domain::user::{Email, Tier, User, Username, is_shown_as_it_is};
use crate::store::{AdminStore, Created, Database, Grant, NewUser, Part};

/// Longest line read from stdin, in bytes: the longest password in UTF-8, and its end of line.
const MAX_LINE_BYTES: u64 = 4 * MAX_CHARACTERS as u64 + 2;

/// `create-user`.
#[derive(clap::Args, Clone, Debug)]
pub struct CreateUser {
    /// Mail address.
    #[arg(value_parser = email)]
    email: Email,
    /// Name to sign in with: 3 to 30 of A-Z a-z 0-9 _ -.
    #[arg(value_parser = username)]
    username: Username,
    /// Read the password from the first line of stdin; otherwise one is made and printed, once.
    #[arg(long)]
    password_stdin: bool,
    /// A name for people.
    #[arg(long, value_parser = display_name)]
    display_name: Option<String>,
    /// Make it an administrator.
    #[arg(long)]
    admin: bool,
    /// Tier: free, pro, team or enterprise.
    #[arg(long, default_value = "free", value_parser = tier)]
    tier: Tier,
    /// When the tier ends, like 2027-01-31T12:00:00Z; without it, never.
    #[arg(long, value_parser = timestamp)]
    expires: Option<OffsetDateTime>,
}

/// `set-tier`.
#[derive(clap::Args, Clone, Debug)]
pub struct SetTier {
    /// Name, mail address or id of the account.
    user: String,
    /// Tier: free, pro, team or enterprise.
    #[arg(value_parser = tier)]
    tier: Tier,
    /// When it ends, like 2027-01-31T12:00:00Z; without it, never.
    #[arg(long, value_parser = timestamp)]
    expires: Option<OffsetDateTime>,
}

/// `disable-user`.
#[derive(clap::Args, Clone, Debug)]
pub struct DisableUser {
    /// Name, mail address or id of the account.
    user: String,
    #[command(flatten)]
    agreement: AgreementArgs,
}

/// `enable-user`.
#[derive(clap::Args, Clone, Debug)]
pub struct EnableUser {
    /// Name, mail address or id of the account.
    user: String,
}

pub(super) async fn create(
    database: &Database,
    args: CreateUser,
    now: OffsetDateTime,
) -> Result<Outcome, AdminError> {
    let (password, made) =
        if args.password_stdin { (read_password()?, false) } else { (make_password()?, true) };
    let too_long = password.expose_secret().chars().count() > MAX_CHARACTERS;
    let weak = weakness(password.expose_secret());
    if let Some(problem) = weak.or(too_long.then_some("The password has at most 128 characters")) {
        return Err(AdminError::Refused(problem.to_owned()));
    }
    let new = NewUser {
        id: UserId::new(Uuid::now_v7()),
        email: args.email,
        username: args.username,
        display_name: args.display_name,
        password_hash: Some(Passwords::new()?.hash(password.clone()).await?),
        created_at: now,
        if_first: None,
    };
    let grant = Grant { is_admin: args.admin, tier: args.tier, tier_until: args.expires };
    let user = match database.add_account(&new, grant).await? {
        Created::User(user) => *user,
        Created::EmailTaken => {
            return Err(AdminError::Refused("an account with this email exists".to_owned()));
        }
        Created::UsernameTaken => {
            return Err(AdminError::Refused("an account with this username exists".to_owned()));
        }
    };
    let mut text = format!("account {} ({}) was made", user.username, user.id);
    let mut json = json!({"user": view(&user, now)});
    if made {
        text.push_str(&format!("\npassword, shown this once: {}", password.expose_secret()));
        json["password"] = password.expose_secret().into();
    }
    Ok(Outcome::done(text, json))
}

pub(super) async fn set_tier(
    database: &Database,
    args: &SetTier,
    now: OffsetDateTime,
) -> Result<Outcome, AdminError> {
    let user = find_user(database, &args.user).await?;
    if !database.set_tier(user.id, args.tier, args.expires).await? {
        return Err(AdminError::NotFound { kind: "user", name: args.user.clone() });
    }
    let user = User { tier: args.tier, tier_until: args.expires, ..user };
    let until = args.expires.map(|at| format!(" until {}", written(at))).unwrap_or_default();
    let text = format!("{} is {}{until}", user.username, args.tier.as_str());
    Ok(Outcome::done(text, json!({"user": view(&user, now)})))
}

pub(super) async fn disable(
    database: &Database,
    args: &DisableUser,
    now: OffsetDateTime,
) -> Result<Outcome, AdminError> {
    let redis = args.agreement.redis()?;
    let user = find_user(database, &args.user).await?;
    let revoked = database.disable_account(user.id, now).await?;
    let revoked = revoked.ok_or_else(|| not_found(&args.user))?;
    let told = tell(redis, &args.agreement, &revoked).await?;
    let mut text = format!("{} is disabled, {} devices are signed out", user.username, revoked.len());
    if !told {
        text.push_str(NOT_TOLD);
    }
    let user = view(&User { is_active: false, ..user }, now);
    Ok(Outcome::done(text, json!({"user": user, "revoked": revoked.len(), "redis_told": told})))
}

pub(super) async fn enable(
    database: &Database,
    args: &EnableUser,
    now: OffsetDateTime,
) -> Result<Outcome, AdminError> {
    let user = find_user(database, &args.user).await?;
    if !database.enable_account(user.id).await? {
        return Err(not_found(&args.user));
    }
    let text = format!("{} is enabled", user.username);
    Ok(Outcome::done(text, json!({"user": view(&User { is_active: true, ..user }, now)})))
}

fn not_found(name: &str) -> AdminError {
    AdminError::NotFound { kind: "user", name: name.to_owned() }
}

pub(super) async fn list(
    database: &Database,
    page: Page,
    now: OffsetDateTime,
) -> Result<Outcome, AdminError> {
    let Page { offset, limit } = page;
    let (users, total) = database.accounts(Part { offset, limit }).await?;
    let rows: Vec<[String; 6]> = users
        .iter()
        .map(|user| {
            [
                user.id.to_string(),
                user.username.clone(),
                user.email.clone(),
                user.tier_at(now).as_str().to_owned(),
                role(user).to_owned(),
                user.last_login_at.map(written).unwrap_or_default(),
            ]
        })
        .collect();
    let text = table(["ID", "USERNAME", "EMAIL", "TIER", "ROLE", "LAST LOGIN"], &rows);
    let users: Vec<Value> = users.iter().map(|user| view(user, now)).collect();
    Ok(Outcome::done(text, json!({"users": users, "total": total, "offset": offset, "limit": limit})))
}

fn role(user: &User) -> &'static str {
    match (user.is_active, user.is_admin) {
        (false, _) => "disabled",
        (true, true) => "admin",
        (true, false) => "",
    }
}

fn view(user: &User, now: OffsetDateTime) -> Value {
    json!({
        "id": user.id.uuid(),
        "email": user.email,
        "username": user.username,
        "display_name": user.display_name,
        "subscription_tier": user.tier_at(now).as_str(),
        "subscription_expires_at": user.tier_until.map(written),
        "is_active": user.is_active,
        "is_verified": user.is_verified,
        "is_admin": user.is_admin,
        "created_at": written(user.created_at),
        "last_login_at": user.last_login_at.map(written),
    })
}

fn read_password() -> Result<SecretString, AdminError> {
    let mut line = zeroize::Zeroizing::new(String::new());
    stdin().lock().take(MAX_LINE_BYTES).read_line(&mut line).map_err(AdminError::Stdin)?;
    let password = line.strip_suffix('\n').map_or(line.as_str(), |line| line.trim_end_matches('\r'));
    if password.contains('\0') {
        return Err(AdminError::Refused("The password must not hold a NUL".to_owned()));
    }
    Ok(SecretString::from(password))
}

/// 96 random bits in words that can be read out, in every class of letters that a password needs.
fn make_password() -> Result<SecretString, NoRandomness> {
    let random = secret_token::random()?;
    let words: Vec<&str> =
        [0, 6, 12, 18].iter().filter_map(|at| random.expose_secret().get(*at..at + 6)).collect();
    Ok(format!("Dp1-{}", words.join("-")).into())
}

fn email(text: &str) -> Result<Email, &'static str> {
    Email::parse(text).ok_or("must be a mail address")
}

fn username(text: &str) -> Result<Username, &'static str> {
    Username::parse(text).ok_or("must be 3 to 30 of A-Z a-z 0-9 _ -")
}

fn display_name(text: &str) -> Result<String, &'static str> {
    if !is_shown_as_it_is(text) {
        return Err("must not hold characters that control or turn text");
    }
    (text.chars().count() <= 100).then(|| text.to_owned()).ok_or("has at most 100 characters")
}

fn tier(text: &str) -> Result<Tier, &'static str> {
    Tier::from_word(text).ok_or("must be free, pro, team or enterprise")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_password_is_strong_and_another_each_time() {
        let (one, other) = (make_password().unwrap(), make_password().unwrap());
        assert_eq!((weakness(one.expose_secret()), one.expose_secret().len()), (None, 31));
        assert_ne!(one.expose_secret(), other.expose_secret());
    }
}
