//! What answers mean.

use super::*;

fn identity(workspace: Option<&str>, members: &[u128]) -> Identity {
    Identity {
        workspace: workspace.map(str::to_owned),
        members: members.iter().copied().map(Uuid::from_u128).collect(),
    }
}

#[test]
fn at_most_ten_anchors_are_kept_and_the_domain_has_one_spelling() {
    let many: Vec<u128> = (0..40).collect();
    assert_eq!(identity(None, &many).anchors().len(), ANCHORS);
    assert_eq!(Identity::of(Some(" Acme "), &[]).workspace.as_deref(), Some("acme"));
    assert_eq!(Identity::of(Some(" "), &[]).workspace, None);
}

/// Members, teams, activity; the others answer.
fn look(answers: [Answer; 3], identified: bool) -> Look {
    let [members, teams, activity] = answers;
    let rest = if answers.contains(&Answer::Available) { Answer::Available } else { members };
    let answers = [members, teams, activity, rest, rest, rest];
    Look { answers, identity: identity(identified.then_some("acme"), &[]) }
}

#[test]
fn what_makes_a_credential_unfit() {
    use Answer::{Available, Forbidden, LacksScope, NotInPlan, NotUnderstood, Unreachable};
    const INVALID: Rejection = Rejection::Invalid;
    const REJECTED: Answer = Answer::Rejected(INVALID);
    const UNSAID: Answer = Answer::Rejected(Rejection::Unsaid);
    let cases = [
        ([Available, Available, NotInPlan], true, None),
        ([Available, REJECTED, Unreachable], true, None),
        ([REJECTED, REJECTED, REJECTED], false, Some(Unfit::Rejected(INVALID))),
        ([UNSAID, UNSAID, REJECTED], false, Some(Unfit::Rejected(INVALID))),
        ([Answer::Cut(Cause::NoTls); 3], false, Some(Unfit::Cut(Cause::NoTls))),
        ([Unreachable, REJECTED, Unreachable], false, Some(Unfit::Rejected(Rejection::Invalid))),
        ([REJECTED, Available, NotInPlan], false, Some(Unfit::Unreachable)),
        ([Forbidden, Available, Available], true, Some(Unfit::NotAdmin)),
        ([LacksScope, Available, Available], true, Some(Unfit::WithoutMembers)),
        ([NotInPlan, NotInPlan, NotInPlan], false, Some(Unfit::WithoutApi)),
        ([NotUnderstood, Available, Available], true, Some(Unfit::NotUnderstood)),
        ([Unreachable, Unreachable, Unreachable], false, Some(Unfit::Unreachable)),
        ([Unreachable, Available, NotInPlan], false, Some(Unfit::Unreachable)),
        ([Unreachable, Available, Available], true, None),
    ];
    for (answers, identified, expected) in cases {
        assert_eq!(look(answers, identified).unfit(CredentialKind::ApiKey), expected, "{answers:?}");
    }
}

#[test]
fn a_consent_need_not_list_members_but_must_show_whose_it_is() {
    use Answer::{Available, Forbidden, LacksScope};
    const REJECTED: Answer = Answer::Rejected(Rejection::Invalid);
    for members in [Forbidden, LacksScope] {
        let answers = [members, members, members];
        assert_eq!(look(answers, true).unfit(CredentialKind::Oauth), None);
        assert_eq!(look(answers, false).unfit(CredentialKind::Oauth), Some(Unfit::Unreachable));
    }
    let rejected = look([REJECTED; 3], true);
    assert_eq!(rejected.unfit(CredentialKind::Oauth), Some(Unfit::Rejected(Rejection::Invalid)));
    assert!(!rejected.is_accepted() && look([Available; 3], true).is_accepted());
}
