//! The four lists of the API that this client reads.

use url::Url;
use uuid::Uuid;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    Members,
    Teams,
    TeamMembers(Uuid),
    MemberActivities,
}

impl Route {
    /// What a request of this route attempts; errors say "could not …".
    pub(crate) fn attempted(self) -> &'static str {
        match self {
            Self::Members => "list members",
            Self::Teams => "list teams",
            Self::TeamMembers(_) => "list the members of a team",
            Self::MemberActivities => "list member activities",
        }
    }

    /// The route's address below a base that may have a path of its own.
    pub(crate) fn url(self, base: &Url) -> Url {
        let mut url = base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("v2");
            match self {
                Self::Members => path.push("members"),
                Self::Teams => path.push("teams"),
                Self::TeamMembers(id) => path.extend(["teams", &id.to_string(), "members"]),
                Self::MemberActivities => path.extend(["analytics", "member-activities"]),
            };
        }
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bases_path_is_kept() {
        let cases = [
            ("https://api.productboard.com", "https://api.productboard.com/v2/members"),
            ("https://api.productboard.com/", "https://api.productboard.com/v2/members"),
            ("http://proxy:8080/pb", "http://proxy:8080/pb/v2/members"),
            ("http://proxy:8080/pb/", "http://proxy:8080/pb/v2/members"),
        ];
        for (base, expected) in cases {
            assert_eq!(Route::Members.url(&Url::parse(base).unwrap()).as_str(), expected);
        }
    }
}
