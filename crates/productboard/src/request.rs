//! One request, ready to be sent as often as it may be.

use reqwest::Method;
use secrecy::SecretString;
use serde_json::Value;
use url::Url;

use crate::operation::Operation;
use crate::paging::{CURSOR, Cursor};

/// A request below the base URL. It may hold secrets, so that it cannot be printed.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) operation: Operation,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) body: Option<Vec<u8>>,
    /// Whether a request whose fate is unknown may be sent again: creating something twice would leave two.
    pub(crate) repeatable: bool,
    /// What must not be told, should the vendor echo the request.
    pub(crate) secrets: Vec<SecretString>,
}

impl Request {
    /// A request of a resource below a base that may have a path of its own.
    pub(crate) fn new(operation: Operation, method: Method, base: &Url, path: &[&str]) -> Self {
        let mut url = base.clone();
        // People paste the URL with the version behind it.
        let has_version = url.path().trim_end_matches('/').ends_with("/v2");
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty();
            if !has_version {
                segments.push("v2");
            }
            segments.extend(path);
        }
        Self { operation, method, url, body: None, repeatable: true, secrets: Vec::new() }
    }

    pub(crate) fn query(mut self, pairs: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let mut pairs = pairs.into_iter().peekable();
        if pairs.peek().is_some() {
            self.url.query_pairs_mut().extend_pairs(pairs);
        }
        self
    }

    /// A search: the body asks, and asking twice does no harm.
    pub(crate) fn body(self, body: &Value) -> Self {
        Self { body: Some(body.to_string().into_bytes()), ..self }
    }

    pub(crate) fn hiding(self, secrets: impl IntoIterator<Item = SecretString>) -> Self {
        Self { secrets: secrets.into_iter().collect(), ..self }
    }

    pub(crate) fn once(self) -> Self {
        Self { repeatable: false, ..self }
    }

    /// The same request, for the page of a cursor. Searches take the cursor in the query as well.
    pub(crate) fn at(&self, cursor: Option<&Cursor>) -> Self {
        let mut request = self.clone();
        if let Some(cursor) = cursor {
            request.url.query_pairs_mut().append_pair(CURSOR, cursor.as_str());
        }
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::LIST_TEAMS;

    #[test]
    fn the_bases_path_is_kept() {
        let cases = [
            ("https://api.productboard.com", "https://api.productboard.com/v2/teams/a%2Fb"),
            ("https://api.productboard.com/", "https://api.productboard.com/v2/teams/a%2Fb"),
            ("https://api.productboard.com/v2", "https://api.productboard.com/v2/teams/a%2Fb"),
            ("https://api.eu.productboard.com/v2/", "https://api.eu.productboard.com/v2/teams/a%2Fb"),
            ("http://proxy:8080/v2/pb", "http://proxy:8080/v2/pb/v2/teams/a%2Fb"),
            ("http://proxy:8080/pb", "http://proxy:8080/pb/v2/teams/a%2Fb"),
            ("http://proxy:8080/pb/", "http://proxy:8080/pb/v2/teams/a%2Fb"),
        ];
        for (base, expected) in cases {
            let request =
                Request::new(LIST_TEAMS, Method::GET, &Url::parse(base).unwrap(), &["teams", "a/b"]);
            assert_eq!(request.url.as_str(), expected);
        }
    }

    #[test]
    fn a_cursor_joins_the_query() {
        let base = Url::parse("https://api.productboard.com").unwrap();
        let request = Request::new(LIST_TEAMS, Method::GET, &base, &["teams"])
            .query([("name", "Core & more".to_owned())]);
        let page = request.at(Some(&Cursor::new("a=/")));
        assert_eq!(page.url.query(), Some("name=Core+%26+more&pageCursor=a%3D%2F"));
        assert_eq!(request.at(None).url, request.url);
    }
}
