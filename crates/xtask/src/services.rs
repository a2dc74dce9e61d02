//! The servers that the tests need: found, or installed and started on this machine.
//!
//! A run that lacks one fails, it does not skip. Only a server at a loopback address is ever started; one that somebody
//! named elsewhere is theirs. What is started keeps running, for the next run.

pub(crate) mod apt;
mod browser;
mod endpoint;
mod postgres;
mod python;
mod rabbitmq;
mod redis;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use endpoint::Endpoint;

/// How long a server that was started may take until it answers.
const START_DEADLINE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(200);

/// One server.
struct Service {
    name: &'static str,
    /// The variable that names another one.
    variable: &'static str,
    default: &'static str,
    packages: &'static [&'static str],
    /// Whether the programs are there.
    installed: fn() -> bool,
    /// What is to be done once, when this has just installed it.
    after_install: fn() -> Result<()>,
    /// Starts it at that port.
    start: fn(u16) -> Result<()>,
}

const SERVICES: [Service; 3] = [postgres::SERVICE, rabbitmq::SERVICE, redis::SERVICE];

pub(crate) fn ensure() -> Result<()> {
    SERVICES.iter().try_for_each(|service| service.ensure().with_context(|| service.name.to_owned()))?;
    browser::ensure().context("browser")?;
    python::ensure().context("Python")
}

impl Service {
    fn ensure(&self) -> Result<()> {
        let named = std::env::var(self.variable).ok().filter(|url| !url.is_empty());
        let endpoint = Endpoint::of(named.as_deref().unwrap_or(self.default))
            .with_context(|| format!("{} is not a URL with a host", self.variable))?;
        let answers = endpoint.answers();
        // Tests start servers of their own, too, beside one that answers.
        if !(self.installed)() {
            self.install(&endpoint)?;
            if !answers {
                (self.after_install)()?;
            }
        }
        if answers {
            println!("{} answers at {endpoint}", self.name);
            return Ok(());
        }
        if !endpoint.is_loopback() {
            bail!(
                "nothing answers at {endpoint}, which {} names: start it, or unset the variable",
                self.variable
            );
        }
        // Some packages start their server by themselves.
        if !endpoint.answers() {
            println!("{} is started at {endpoint}", self.name);
            (self.start)(endpoint.port).with_context(|| self.advice(&endpoint))?;
        }
        self.wait(&endpoint)
    }

    fn install(&self, endpoint: &Endpoint) -> Result<()> {
        if !apt::usable() {
            bail!("{}", self.advice(endpoint));
        }
        println!("{} is not installed in whole: {}", self.name, self.packages.join(" "));
        apt::install(self.packages).with_context(|| self.advice(endpoint))
    }

    fn advice(&self, endpoint: &Endpoint) -> String {
        format!(
            "install and start one at {endpoint} (Debian: `apt-get install {}`), or name another in {}",
            self.packages.join(" "),
            self.variable
        )
    }

    fn wait(&self, endpoint: &Endpoint) -> Result<()> {
        let begun = Instant::now();
        while !endpoint.answers() {
            if begun.elapsed() > START_DEADLINE {
                bail!(
                    "it was started but does not answer at {endpoint} after {} s",
                    START_DEADLINE.as_secs()
                );
            }
            pause();
        }
        println!("{} answers at {endpoint} after {:.1} s", self.name, begun.elapsed().as_secs_f64());
        Ok(())
    }
}

fn pause() {
    #[expect(clippy::disallowed_methods, reason = "there is no runtime here whose thread could be blocked")]
    std::thread::sleep(POLL);
}
