//! Members, with names that a token may not be allowed to see.

use serde::Deserialize;
use tidemark_domain::member::Role;
use uuid::Uuid;

use super::text::Word;
use crate::Text;

/// One member of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Wire")]
pub struct Member {
    /// The member's id.
    pub id: Uuid,
    /// The full name.
    pub name: Text,
    /// The name to log in with.
    pub username: Text,
    /// The mail address.
    pub email: Text,
    /// The role. Unknown ones are kept as [`Role::Other`].
    pub role: Role,
    /// Whether the account is disabled.
    pub disabled: bool,
    /// Whether the invitation still waits to be accepted.
    pub pending: bool,
    /// The teams the member belongs to.
    pub teams: Vec<Uuid>,
    /// The workspace's domain: `acme` when the member's page is on `acme.productboard.com`.
    pub workspace: Option<String>,
}

#[derive(Deserialize)]
struct Wire {
    id: Uuid,
    fields: Fields,
    links: Option<Links>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    #[serde(default)]
    name: Text,
    #[serde(default)]
    username: Text,
    #[serde(default)]
    email: Text,
    #[serde(deserialize_with = "Word::read")]
    role: Role,
    disabled: bool,
    invitation_pending: bool,
    teams: Option<Vec<TeamReference>>,
}

#[derive(Deserialize)]
struct TeamReference {
    id: Uuid,
}

#[derive(Deserialize)]
struct Links {
    html: Option<String>,
}

impl From<Wire> for Member {
    fn from(Wire { id, fields, links }: Wire) -> Self {
        Self {
            id,
            name: fields.name,
            username: fields.username,
            email: fields.email,
            role: fields.role,
            disabled: fields.disabled,
            pending: fields.invitation_pending,
            teams: fields.teams.into_iter().flatten().map(|team| team.id).collect(),
            workspace: links.and_then(|links| links.html).and_then(|html| workspace(&html)),
        }
    }
}

/// The workspace in a page's host, in either data centre.
fn workspace(html: &str) -> Option<String> {
    let host = html.strip_prefix("https://")?.split(['/', '?', '#']).next()?;
    let name = host.strip_suffix(".productboard.com")?;
    let name = name.strip_suffix(".eu").unwrap_or(name);
    let is_label = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let is_workspace =
        (1..=63).contains(&name.len()) && is_label(name) && !["app", "api", "eu"].contains(&name);
    is_workspace.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_documented_shape_with_more_around_it() {
        let id = Uuid::from_u128(7);
        let team = Uuid::from_u128(8);
        let member: Member = serde_json::from_value(json!({
            "id": id,
            "type": "member",
            "shoeSize": 43,
            "fields": {
                "name": "Ada", "username": "ada", "email": "[redacted]", "role": "editor",
                "disabled": false, "invitationPending": true,
                "teams": [{ "id": team, "name": "Core", "links": { "self": "x" } }],
                "betaLabels": ["new"],
            },
            "links": { "self": "https://api.productboard.com/v2/members/7", "html": "https://acme.productboard.com/m/7" },
        }))
        .unwrap();
        let expected = Member {
            id,
            name: Text::Known("Ada".to_owned()),
            username: Text::Known("ada".to_owned()),
            email: Text::Hidden,
            role: Role::Maker,
            disabled: false,
            pending: true,
            teams: vec![team],
            workspace: Some("acme".to_owned()),
        };
        assert_eq!(member, expected);
    }

    #[test]
    fn what_is_not_told_is_absent_or_hidden() {
        let fields = json!({
            "name": null, "role": "steward", "disabled": true, "invitationPending": false,
        });
        let member: Member = serde_json::from_value(json!({ "id": Uuid::nil(), "fields": fields })).unwrap();
        assert_eq!((member.name, member.email), (Text::Absent, Text::Absent));
        assert_eq!(member.role, Role::Other("steward".to_owned()));
        assert_eq!((member.teams, member.workspace), (vec![], None));
        assert_eq!(Text::from(Some("[obfuscated]".to_owned())), Text::Hidden);
        assert_eq!(Text::from(Some("Ada".to_owned())).known(), Some("Ada"));
    }

    #[test]
    fn the_workspace_is_the_first_label_of_the_host() {
        let cases = [
            ("https://acme.productboard.com/settings", Some("acme")),
            ("https://acme.eu.productboard.com/settings", Some("acme")),
            ("https://app.productboard.com/members/1", None),
            ("https://api.productboard.com/members/1", None),
            ("https://app.eu.productboard.com/members/1", None),
            ("https://productboard.com/", None),
            ("https://acme.productboard.com.evil.example/", None),
            ("not a url", None),
        ];
        for (html, expected) in cases {
            assert_eq!(workspace(html).as_deref(), expected, "{html}");
        }
    }
}
