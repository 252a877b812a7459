//! Where the database is: `sqlite:PATH` or `postgres://…`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

/// A parsed database URL. Its `Display` and `Debug` are fit for logs: they never show the password.
#[derive(Clone)]
pub enum DatabaseLocation {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database.
    Postgres(Box<PgConnectOptions>),
}

/// Why a text is not a database URL. Never repeats the text, which may hold a password.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidDatabaseUrl {
    /// Neither scheme.
    #[error("a database URL is sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME")]
    Scheme,
    /// `sqlite:` and nothing, or an in-memory database.
    #[error("sqlite: needs the path of a file, for example sqlite:./data/tokensmith.db")]
    NoPath,
    /// `?` after an SQLite path.
    #[error("an SQLite path takes no options after `?`; write sqlite:PATH alone")]
    SqliteOptions,
    /// PostgreSQL URL that does not parse.
    #[error(
        "this is not a PostgreSQL URL; write ? # / @ : and % in the user name or password as \
         %3F %23 %2F %40 %3A and %25"
    )]
    Postgres,
    /// An option after `?` that is not known.
    #[error(
        "an option after `?` is not known; known are sslmode, sslrootcert, sslcert, sslkey, \
         application_name, host, port, user, password, dbname and options (a `?` that belongs to \
         the password is written %3F)"
    )]
    PostgresOption,
}

impl FromStr for DatabaseLocation {
    type Err = InvalidDatabaseUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path {
                "" | ":memory:" => Err(InvalidDatabaseUrl::NoPath),
                path if path.contains('?') => Err(InvalidDatabaseUrl::SqliteOptions),
                path => Ok(Self::Sqlite(path.into())),
            };
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return postgres(text);
        }
        Err(InvalidDatabaseUrl::Scheme)
    }
}

fn postgres(text: &str) -> Result<DatabaseLocation, InvalidDatabaseUrl> {
    const OPTIONS: [&str; 11] = [
        "sslmode",
        "sslrootcert",
        "sslcert",
        "sslkey",
        "application_name",
        "host",
        "port",
        "user",
        "password",
        "dbname",
        "options",
    ];
    let url = url::Url::parse(text).map_err(|_| InvalidDatabaseUrl::Postgres)?;
    if url.fragment().is_some() {
        return Err(InvalidDatabaseUrl::Postgres);
    }
    for (name, _) in url.query_pairs() {
        if !OPTIONS.contains(&name.as_ref()) {
            return Err(InvalidDatabaseUrl::PostgresOption);
        }
    }
    let options = PgConnectOptions::from_str(text).map_err(|_| InvalidDatabaseUrl::Postgres)?;
    Ok(DatabaseLocation::Postgres(Box::new(options)))
}

impl fmt::Display for DatabaseLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(options) => {
                let database = options.get_database().unwrap_or("(default)");
                write!(
                    f,
                    "postgres://{}:{}/{database}",
                    options.get_host(),
                    options.get_port()
                )
            }
        }
    }
}

impl fmt::Debug for DatabaseLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, InvalidDatabaseUrl> {
        text.parse::<DatabaseLocation>()
            .map(|location| location.to_string())
    }

    #[test]
    fn both_databases_have_a_url_that_shows_no_password() {
        assert_eq!(parse("sqlite:./data/x.db"), Ok("sqlite:./data/x.db".into()));
        assert_eq!(parse("sqlite:///var/x.db"), Ok("sqlite:/var/x.db".into()));
        assert_eq!(
            parse("postgres://me:secret@db:5433/auth?sslmode=require"),
            Ok("postgres://db:5433/auth".into()),
        );
    }

    #[test]
    fn each_mistake_is_explained() {
        use InvalidDatabaseUrl as No;
        assert_eq!(parse("mysql://x"), Err(No::Scheme));
        assert_eq!(parse("sqlite:"), Err(No::NoPath));
        assert_eq!(parse("sqlite::memory:"), Err(No::NoPath));
        assert_eq!(parse("sqlite:x.db?mode=rwc"), Err(No::SqliteOptions));
        assert_eq!(parse("postgres://me:pa?ss@db/auth"), Err(No::Postgres));
        assert_eq!(
            parse("postgres://db/auth?sslmod=require"),
            Err(No::PostgresOption),
        );
    }
}
