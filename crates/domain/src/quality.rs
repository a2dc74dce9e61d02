//! What a sync finds odd about a connection's data, by name and in words. Rollups find [`Flag`](crate::rollup::Flag)s
//! of their own.

use std::collections::BTreeMap;

use crate::{
    member::{Role, Standing},
    stream::Stream,
};

/// The name of the flag that says why no seat is counted.
pub const ROSTER_UNREAD: &str = "roster_unread";
/// The name of the flag on members in roles that this version does not know.
pub const UNKNOWN_ROLE: &str = "unknown_role";
/// The name of the flag on rows that could not be read, before the stream.
pub const QUARANTINED_ROWS: &str = "quarantined_rows";
/// The name of the flag on what was assumed of the vendor and does not hold, before the assumption.
pub const ASSUMPTION: &str = "assumption";
/// Roles that a sentence names.
const MOST_NAMED: usize = 10;

/// Why no seat is counted where no list of members was ever complete and believed.
pub const NO_ROSTER: &str = "No list of members was ever read completely and believed, and without one no seat can be \
                             counted; the last sync says what is wrong with it";

/// What rows of a stream are called.
pub fn rows_of(stream: Stream) -> &'static str {
    match stream {
        Stream::Members => "members",
        Stream::Teams => "teams",
        Stream::MemberActivities => "rows of activity",
        Stream::Entities => "entities",
        Stream::Notes => "notes",
        Stream::Configurations => "configurations",
    }
}

/// What a stream does while a list goes on and nothing comes of it.
pub fn empty_pages(stream: Stream) -> String {
    let what = rows_of(stream);
    format!(
        "Productboard sends empty pages of {what} and says that more is to come; five in a row are taken for the end"
    )
}

/// What there is to say of rows in quarantine, of which `nameless` do not say whose they are.
pub fn quarantined(stream: Stream, rows: u64, nameless: u64, problem: &str) -> String {
    let what = rows_of(stream);
    let meaning = match stream {
        Stream::MemberActivities => "what these members did on these days is unknown",
        _ => "what was known of them stays as it was",
    };
    let nameless = match (stream, nameless) {
        (Stream::MemberActivities, 1..) => format!(
            "; {nameless} of them do not say whose they are, and their days count as not covered until they do"
        ),
        _ => String::new(),
    };
    format!("{rows} {what} could not be read and are kept apart ({problem}): {meaning}{nameless}")
}

/// The name of the flag on a list of that stream, such as `repeated_cursor.members`.
pub fn of_list(name: &str, stream: Stream) -> String {
    format!("{name}.{}", stream.as_str())
}

/// What there is to say of members in roles that this version does not know, if there are any. Disabled ones are of no
/// interest.
pub fn unknown_roles<'a>(standings: impl IntoIterator<Item = &'a Standing>) -> Option<String> {
    let mut roles: BTreeMap<&Role, u64> = BTreeMap::new();
    for standing in standings.into_iter().filter(|it| !it.role.is_known() && !it.disabled) {
        *roles.entry(&standing.role).or_default() += 1;
    }
    let members: u64 = roles.values().sum();
    if members == 0 {
        return None;
    }
    let mut named: Vec<_> = roles.into_iter().collect();
    named.sort_by_key(|(role, members)| (std::cmp::Reverse(*members), *role));
    let others = named.len().saturating_sub(MOST_NAMED);
    let mut names: Vec<_> =
        named.iter().take(MOST_NAMED).map(|(role, members)| named_role(role, *members)).collect();
    if others > 0 {
        names.push(format!("{others} more"));
    }
    let (members, have) =
        if members == 1 { ("1 member".to_owned(), "has") } else { (format!("{members} members"), "have") };
    Some(format!(
        "{members} {have} a role that this version does not know: {}. Whether these seats are paid for is unknown; they \
         are in no number of paid seats",
        names.join(", ")
    ))
}

fn named_role(role: &Role, members: u64) -> String {
    let name = if role.as_str().is_empty() { "no name" } else { role.as_str() };
    format!("`{name}` ({members})")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(role: &str, disabled: bool) -> Standing {
        Standing { role: role.into(), disabled, pending: false }
    }

    #[test]
    fn unknown_roles_are_counted_by_name() {
        let told = |roles: &[(&str, bool)]| {
            let standings: Vec<_> = roles.iter().map(|(role, disabled)| standing(role, *disabled)).collect();
            unknown_roles(&standings)
        };
        assert_eq!(told(&[("Maker", false), ("ADMIN", false), (" viewer ", false), ("owner", true)]), None);
        let one = told(&[("owner", false), ("maker", false)]).unwrap();
        assert!(
            one.starts_with("1 member has a role that this version does not know: `owner` (1)."),
            "{one}"
        );
        let several = told(&[("owner", false), ("", false), ("steward", false), ("steward", false)]).unwrap();
        assert!(
            several.contains("4 members") && several.contains("`steward` (2), `no name` (1), `owner` (1)"),
            "{several}"
        );
        let many: Vec<_> = (0..30).map(|at| standing(&format!("role {at:02}"), false)).collect();
        assert!(unknown_roles(&many).unwrap().contains("`role 09` (1), 20 more"));
    }
}
