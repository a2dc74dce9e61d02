-- Sessions of the console, each from the link it begins with. Of secrets there are hashes only.
create table console_sessions (
    id {id} primary key,
    organization_id {id} not null,
    organization_name text not null,
    person text not null,
    role text not null,
    -- The page to begin with.
    path text not null,
    created_by text not null,
    -- What every form of the session carries. Of no use without the session.
    form_token text not null,
    -- Goes when the link is redeemed.
    token_hash {bytes} unique,
    session_hash {bytes} unique,
    -- The secret before the last rotation: answers that were on their way still bring it.
    previous_hash {bytes} unique,
    created_at {time} not null,
    expires_at {time} not null,
    redeemed_at {time},
    rotated_at {time},
    seen_at {time},
    session_expires_at {time},
    ended_at {time}
);
create index console_sessions_old on console_sessions (expires_at);
