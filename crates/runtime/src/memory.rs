//! What is in a process's memory stays there.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Forbids core dumps for this process and those it starts: a dump would hold every secret in memory. Where even that is
/// forbidden, the process goes on and says so.
pub fn no_core_dumps() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "core dumps could not be forbidden: a crash may write secrets to disk");
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::getrlimit;

    use super::*;

    #[test]
    fn no_dump_is_written_and_the_limit_stays() {
        no_core_dumps();
        let limit = getrlimit(Resource::Core);
        assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
    }
}
