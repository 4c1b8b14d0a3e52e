//! Where a database is, read from `DATABASE_URL`.

use std::path::Path;
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use sqlx::sqlite::SqliteConnectOptions;

use super::postgres;

/// Where a database is.
#[derive(Clone, Debug)]
pub enum Location {
    /// A PostgreSQL server, by a URL that may hold a password.
    Postgres(SecretString),
    /// A SQLite file.
    Sqlite(Box<SqliteConnectOptions>),
}

/// What is wrong with a `DATABASE_URL`; never repeats it, for it may hold a password.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadLocation {
    /// It is of another database.
    #[error("must be a postgres:// or sqlite:// URL")]
    Scheme,
    /// It does not parse.
    #[error("is not a valid {0} URL")]
    Form(&'static str),
}

impl Location {
    /// The SQLite database in a file.
    pub fn file(path: &Path) -> Self {
        Self::Sqlite(Box::new(SqliteConnectOptions::new().filename(path)))
    }

    /// The database of a URL.
    pub fn of_url(url: &SecretString) -> Result<Self, BadLocation> {
        match url.expose_secret().split_once(':').map(|(scheme, _)| scheme) {
            Some("postgres" | "postgresql") => match postgres::options(url) {
                Ok(_) => Ok(Self::Postgres(url.clone())),
                Err(_) => Err(BadLocation::Form("postgres://")),
            },
            Some("sqlite") => SqliteConnectOptions::from_str(url.expose_secret())
                .map(|options| Self::Sqlite(Box::new(options)))
                .map_err(|_| BadLocation::Form("sqlite://")),
            _ => Err(BadLocation::Scheme),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_database_or_says_what_is_wrong_and_never_prints() {
        let of = |url: &str| Location::of_url(&SecretString::from(url));
        for url in ["postgres://ann:s3cret@db.example/pocket", "postgresql:///pocket?host=/run/postgresql"] {
            let location = of(url).unwrap();
            assert!(matches!(location, Location::Postgres(_)), "{url}");
            assert!(!format!("{location:?}").contains("s3cret"));
        }
        assert!(matches!(of("sqlite:///var/lib/pocket.db"), Ok(Location::Sqlite(_))));
        for (url, wrong) in [
            ("mysql://x", BadLocation::Scheme),
            ("", BadLocation::Scheme),
            ("pocket.db", BadLocation::Scheme),
            ("postgres://ann:s3cret@db:port/x", BadLocation::Form("postgres://")),
            ("postgres://x?sslmode=s3cret", BadLocation::Form("postgres://")),
            ("sqlite://x?mode=s3cret", BadLocation::Form("sqlite://")),
        ] {
            let said = of(url).unwrap_err();
            assert!(!said.to_string().contains("s3cret"));
            assert_eq!(said, wrong, "{url}");
        }
    }
}
