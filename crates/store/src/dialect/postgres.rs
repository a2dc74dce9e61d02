//! How to reach a PostgreSQL server: encrypted unless it is this machine or the settings say otherwise, through a pooler
//! too, with a password from a file that may change, and away from a server that has become read-only.

use std::{fmt, net::IpAddr, path::PathBuf, str::FromStr as _, time::Duration};

use sea_orm::{
    DatabaseConnection, SqlxError, SqlxPostgresConnector,
    sqlx::{
        self, ConnectOptions as _, Connection as _, PgConnection, PgPool,
        pool::PoolConnectionMetadata,
        postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
    },
};
use secrecy::ExposeSecret as _;
use tidemark_runtime::config;

use crate::error::{Error, Result, unreachable};

/// How long a caller waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection to a server that refuses writes is given up once it is that old: a new one may find the primary.
const READ_ONLY_LIFE: Duration = Duration::from_secs(1);
/// How often the file of the password is looked at.
const PASSWORD_EVERY: Duration = Duration::from_secs(1);
/// Statements after connecting and not the parameter `options` at the start, which PgBouncer refuses.
const LIMITS: &str = "set statement_timeout = '30s'; set idle_in_transaction_session_timeout = '10s'";

/// A server and a database on it.
pub(crate) struct Server {
    options: PgConnectOptions,
    password_file: Option<PathBuf>,
    says_sslmode: bool,
}

impl Server {
    pub(super) fn parse(settings: &config::Database) -> std::result::Result<Self, SqlxError> {
        let url = settings.url.expose_secret();
        let options = PgConnectOptions::from_str(url)?;
        // The brackets of an IPv6 address belong to the URL.
        let host = options.get_host().trim_matches(['[', ']']).to_owned();
        let options = if options.get_socket().is_none() { options.host(&host) } else { options };
        let says = |names: [&str; 2]| names.iter().any(|name| parameter(url, name));
        // A cache of the default size would hold many large bulk statements on every connection.
        let options = if says(["statement-cache-capacity"; 2]) {
            options
        } else {
            options.statement_cache_capacity(64)
        };
        // PgBouncer does not know `extra_float_digits`; what PostgreSQL prints by default is exact.
        let options =
            options.disable_statement_logging().application_name("tidemark").extra_float_digits(None);
        let says_sslmode = says(["sslmode", "ssl-mode"]) || std::env::var_os("PGSSLMODE").is_some();
        Ok(Self { options, password_file: settings.password_file.clone(), says_sslmode })
    }

    /// Without a word about it, the driver falls back to plaintext. That is for this machine only.
    pub(super) fn refuse_plaintext(mut self, settings: &config::Database) -> Result<Self> {
        let falls_back =
            matches!(self.options.get_ssl_mode(), PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer);
        if !falls_back || settings.allow_plaintext || self.is_here() {
            return Ok(self);
        }
        if self.says_sslmode {
            return Err(Error::Plaintext(self.to_string()));
        }
        self.options = self.options.ssl_mode(PgSslMode::Require);
        Ok(self)
    }

    fn is_here(&self) -> bool {
        let host = self.options.get_host();
        let loopback = |address: IpAddr| address.to_canonical().is_loopback();
        self.options.get_socket().is_some()
            || host.starts_with('/')
            || host.eq_ignore_ascii_case("localhost")
            || host.parse().is_ok_and(loopback)
    }

    /// A pool; the first connection is made at once, to say what is wrong.
    pub(super) async fn open(&self, max_connections: u32) -> Result<DatabaseConnection> {
        let options = self.with_password().map_err(|error| unreachable(self, &error))?;
        let pool = connect(&options, max_connections).await.map_err(|error| unreachable(self, &error))?;
        if let Some(file) = &self.password_file {
            tokio::spawn(follow_password(pool.clone(), options, file.clone()));
        }
        Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
    }

    fn with_password(&self) -> std::result::Result<PgConnectOptions, SqlxError> {
        let Some(file) = &self.password_file else { return Ok(self.options.clone()) };
        let password = std::fs::read_to_string(file).map_err(|error| {
            SqlxError::Configuration(format!("the password file {}: {error}", file.display()).into())
        })?;
        Ok(self.options.clone().password(password.trim_end_matches(['\r', '\n'])))
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.options;
        let name = options.get_database().unwrap_or_else(|| options.get_username());
        match options.get_socket() {
            Some(socket) => write!(f, "postgres://{}/{name}", socket.display()),
            None if options.get_host().contains(':') => {
                write!(f, "postgres://[{}]:{}/{name}", options.get_host(), options.get_port())
            }
            None => write!(f, "postgres://{}:{}/{name}", options.get_host(), options.get_port()),
        }
    }
}

/// Whether the URL has that parameter.
fn parameter(url: &str, name: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| url.query_pairs().any(|(key, _)| key == name))
}

async fn connect(options: &PgConnectOptions, max_connections: u32) -> std::result::Result<PgPool, SqlxError> {
    // A pool repeats a refused connection until it times out, and then says no more than that. This one says why.
    let first = tokio::time::timeout(ACQUIRE_TIMEOUT, PgConnection::connect_with(options)).await;
    first.map_err(|_| SqlxError::PoolTimedOut)??.close().await?;
    let pool = PgPoolOptions::new()
        .max_connections(max_connections.max(1))
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // The hook below is a ping, too.
        .test_before_acquire(false)
        .after_connect(|connection, _| {
            Box::pin(async { sqlx::raw_sql(LIMITS).execute(connection).await.map(drop) })
        })
        .before_acquire(|connection, known| Box::pin(is_usable(connection, known)));
    Ok(pool.connect_lazy_with(options.clone()))
}

/// A `begin` whose caller was cancelled leaves its connection inside a transaction (sqlx#4393), where the next caller's
/// writes would be answered with success and lost: `false` discards the connection. So it does where the server takes no
/// writes any more, because another one may be the primary by now. As one simple query, because the steps of a prepared
/// one each have a time of their own.
async fn is_usable(
    connection: &mut PgConnection,
    known: PoolConnectionMetadata,
) -> std::result::Result<bool, SqlxError> {
    const ASK: &str = "select now() = statement_timestamp(), current_setting('transaction_read_only') = 'on'";
    let row = sqlx::raw_sql(ASK).fetch_one(connection).await?;
    let is_outside: bool = sqlx::Row::try_get(&row, 0)?;
    let is_read_only: bool = sqlx::Row::try_get(&row, 1)?;
    if !is_outside {
        tidemark_runtime::metrics::record::poisoned();
    }
    Ok(is_outside && !(is_read_only && known.age >= READ_ONLY_LIFE))
}

/// Gives new connections the password that the file holds by then. One that cannot be read is ignored: the last one may
/// still be right, and if not, the server says so.
async fn follow_password(pool: PgPool, options: PgConnectOptions, file: PathBuf) {
    let mut known = None;
    let follow = async {
        loop {
            tokio::time::sleep(PASSWORD_EVERY).await;
            let Ok(password) = tokio::fs::read_to_string(&file).await else { continue };
            if known.as_ref() != Some(&password) {
                let trimmed = password.trim_end_matches(['\r', '\n']);
                pool.set_connect_options(options.clone().password(trimmed));
                known = Some(password);
            }
        }
    };
    // An error says that the pool was closed.
    let _: std::result::Result<(), SqlxError> = pool.close_event().do_until(follow).await;
}

#[cfg(test)]
mod tests {
    use tidemark_runtime::config::Database;

    use super::*;

    fn server(url: &str, allow_plaintext: bool) -> Result<Server> {
        let settings = Database { url: url.to_owned().into(), allow_plaintext, ..Database::default() };
        Server::parse(&settings).unwrap().refuse_plaintext(&settings)
    }

    #[test]
    fn plaintext_leaves_this_machine_only_where_the_settings_say_so() {
        for url in [
            "postgres://u@db.example/x?sslmode=prefer",
            "postgres://u@db.example/x?sslmode=disable",
            "postgres://u@10.0.0.7/x?ssl-mode=allow",
            "postgres://u@[2001:db8::1]/x?sslmode=prefer",
            "postgres://u@localhost.example/x?sslmode=disable",
        ] {
            let error = server(url, false).err().unwrap().to_string();
            assert!(error.contains("sslmode=verify-full") && error.contains("allow_plaintext"), "{error}");
            assert!(server(url, true).is_ok(), "{url}");
        }
    }

    #[test]
    fn a_remote_server_is_spoken_to_encrypted_without_a_word_about_it() {
        let mode = |url, plaintext| server(url, plaintext).unwrap().options.get_ssl_mode();
        assert!(matches!(mode("postgres://u@db.example/x", false), PgSslMode::Require));
        assert!(matches!(mode("postgres://u@db.example/x", true), PgSslMode::Prefer));
        assert!(matches!(mode("postgres://u@db/x?sslmode=verify-full", false), PgSslMode::VerifyFull));
        for here in [
            "postgres://u@127.0.0.1/x",
            "postgres://u@127.9.9.9/x",
            "postgres://u@[::1]/x",
            "postgres://u@localhost/x",
            "postgres://u@%2Fvar%2Frun%2Fpostgresql/x",
            "postgres:///x?host=/var/run/postgresql",
        ] {
            assert!(matches!(mode(here, false), PgSslMode::Prefer), "{here}");
        }
    }

    #[test]
    fn an_ipv6_address_loses_its_brackets_for_the_connection_and_keeps_them_for_people() {
        let server = server("postgres://u@[::1]:5433/x", false).unwrap();
        assert_eq!(server.options.get_host(), "::1");
        assert_eq!(server.to_string(), "postgres://[::1]:5433/x");
    }
}
