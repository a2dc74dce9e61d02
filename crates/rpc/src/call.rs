//! What belongs to a call and goes along with the calls that it makes in turn: its deadline and its request id.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;
use tonic::codegen::http::{HeaderMap, HeaderValue};

/// The header that carries a request's id, both ways.
pub const REQUEST_ID: &str = "x-request-id";
/// The header that carries a deadline.
pub(crate) const TIMEOUT: &str = "grpc-timeout";
const LONGEST_ID: usize = 64;

/// The id of the request that this task answers.
pub fn request_id() -> Option<String> {
    Call::present()?.request_id.to_str().ok().map(str::to_owned)
}

tokio::task_local! {
    static PRESENT: Call;
}

/// The call that is being answered.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) deadline: Instant,
    pub(crate) request_id: HeaderValue,
}

impl Call {
    /// The call with these headers. Without a deadline, or with a later one, it gets `longest`.
    pub(crate) fn new(headers: &HeaderMap, longest: Duration) -> Self {
        let asked = headers.get(TIMEOUT).and_then(|value| timeout(value.to_str().ok()?));
        let request_id = headers.get(REQUEST_ID).filter(|id| is_plain(id)).cloned();
        Self {
            deadline: Instant::now() + asked.map_or(longest, |asked| asked.min(longest)),
            request_id: request_id.unwrap_or_else(new_id),
        }
    }

    /// The call that this task answers.
    pub(crate) fn present() -> Option<Self> {
        PRESENT.try_with(Clone::clone).ok()
    }

    /// Makes it the call that `work` answers.
    pub(crate) async fn scope<T>(self, work: impl Future<Output = T>) -> T {
        PRESENT.scope(self, work).await
    }

    pub(crate) fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// An id from outside goes into logs and headers.
fn is_plain(id: &HeaderValue) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    (1..=LONGEST_ID).contains(&id.len()) && id.as_bytes().iter().all(plain)
}

/// Unique is enough, and cheaper than random: the process, and a number.
fn new_id() -> HeaderValue {
    static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    HeaderValue::try_from(format!("req-{:016x}-{number:x}", *PROCESS)).expect("hexadecimal digits and `-`")
}

/// At most eight digits and a unit, as the gRPC protocol has it.
pub(crate) fn timeout(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number = if number.len() <= 8 { number.parse::<u64>().ok()? } else { return None };
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_read_as_the_protocol_has_it() {
        assert_eq!(timeout("250m"), Some(Duration::from_millis(250)));
        assert_eq!(timeout("2S"), Some(Duration::from_secs(2)));
        for wrong in ["", "S", "2", "2s", "123456789S", "-1S", "€"] {
            assert_eq!(timeout(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_id_from_outside_is_kept_only_if_it_is_harmless() {
        let with = |id: &'static str| {
            let headers = HeaderMap::from_iter([(REQUEST_ID.parse().unwrap(), HeaderValue::from_static(id))]);
            Call::new(&headers, Duration::from_secs(1)).request_id
        };
        assert_eq!(with("abc-1.2_3"), "abc-1.2_3");
        assert_ne!(with("a b"), "a b");
        assert_ne!(with("a=\"b\""), "a=\"b\"");
        assert_ne!(with(""), with(""), "each gets one of its own");
    }
}
