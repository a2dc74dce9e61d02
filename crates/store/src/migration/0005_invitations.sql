-- Invitations of an admin to make or renew a connection. The address of the invited person is personal data.
create table invitations (
    id {id} primary key,
    organization_id {id} not null,
    organization_name text not null,
    application text not null,
    -- The connection that is to be reconnected; none where a new one is to be made.
    connection_id {id} references connections (id) on delete cascade,
    invitee_email text,
    invitee_name text,
    invited_by text not null,
    state text not null,
    ttl_days bigint not null,
    expires_at {time} not null,
    -- How often a link was made: at first, and at each resend.
    issues bigint not null,
    issued_at {time} not null,
    -- Why nothing was delivered, for a person.
    delivery_note text,
    -- The connection that came of it.
    made_connection_id {id},
    -- JSON list of what happened, when and by whom.
    history text not null,
    -- Counts the writes of this row.
    revision bigint not null,
    created_at {time} not null,
    updated_at {time} not null
);
create index invitations_of_organization on invitations (organization_id, id);
create index invitations_open on invitations (expires_at)
    where state in ('created', 'sent', 'delivery_failed', 'opened');
create index invitations_of_connection on invitations (connection_id) where connection_id is not null;

-- What the links of an invitation hold, hashed: one that was shown, and one per mail that was tried.
create table invitation_tokens (
    hash {bytes} primary key,
    invitation_id {id} not null references invitations (id) on delete cascade
);
create index invitation_tokens_of_invitation on invitation_tokens (invitation_id);

-- How many links an organization had made on a day (UTC).
create table invitation_quotas (
    organization_id {id} not null,
    day {date} not null,
    issued bigint not null,
    primary key (organization_id, day)
);

-- Mails of invitations that wait to be sent. A row goes when its mail was taken, given up or not wanted any more.
create table invitation_mails (
    invitation_id {id} primary key references invitations (id) on delete cascade,
    -- Which of the invitation's issues it tells of.
    issue bigint not null,
    attempts bigint not null,
    next_attempt_at {time} not null,
    give_up_at {time} not null,
    claimed_until {time}
);
create index invitation_mails_due on invitation_mails (next_attempt_at);
