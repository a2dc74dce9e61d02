-- A row is one version of one credential. Of each kind the highest generation is the present version; the one before it
-- is kept sealed until the present one has worked.

-- api_key, oauth or assertion.
alter table credentials add column kind text not null default 'api_key';
-- JSON list of findings: what this credential can read.
alter table credentials add column capabilities text not null default '[]';
-- When its access token ends, and its refresh token; null is never.
alter table credentials add column access_expires_at {time};
alter table credentials add column refresh_expires_at {time};
-- Written before the refresh token is spent, taken back with its outcome: proves that the database takes writes, and tells
-- after a crash that the token may be spent.
alter table credentials add column refresh_started_at {time};
-- Counts the refreshes begun with this version; who adds one owns that refresh.
alter table credentials add column refresh_attempt bigint not null default 0;
-- A refresh was sent and its answer never came.
alter table credentials add column in_doubt boolean not null default false;
-- When it is renewed by itself; null is never.
alter table credentials add column refresh_due_at {time};
-- Failed refreshes in a row, and until when none is tried.
alter table credentials add column failures bigint not null default 0;
alter table credentials add column cooldown_until {time};
-- Why the vendor's refusal of it is final, once it is.
alter table credentials add column rejected text;
-- When it was first seen to work.
alter table credentials add column proven_at {time};
-- When its age was last reminded of.
alter table credentials add column reminded_at {time};

create index credentials_due on credentials (refresh_due_at) where refresh_due_at is not null;

-- Consents that somebody has begun. One use, ten minutes.
create table consents (
    -- SHA-256 of the state that travels through the browser.
    state_hash text primary key,
    -- SHA-256 of what ties it to the browser session that began it.
    session_hash text not null,
    connection_id {id} not null references connections (id),
    -- The PKCE verifier, sealed.
    algorithm text not null,
    key_id text not null,
    wrapped_key {bytes} not null,
    ciphertext {bytes} not null,
    created_at {time} not null,
    expires_at {time} not null
);
create index consents_expiry on consents (expires_at);
create index consents_of_connection on consents (connection_id);
