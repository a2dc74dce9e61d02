-- Who computes a workspace's numbers now, and when its turn comes again after a failure. All processes that compute go by it;
-- without a row, nobody has had the workspace yet.
create table rollup_turns (
    connection_id {id} primary key,
    -- Grows with every claim, so that only the last claimer settles it.
    claim bigint not null,
    claimed_at {time},
    -- Nobody else takes the workspace before, unless the claimer gives it back. Who dies loses it then.
    claimed_until {time},
    -- Failures since the last success, and no attempt before that.
    failures bigint not null,
    next_at {time},
    -- The last look that ended well, also one that wrote nothing: its UTC date, and the changes of facts that it saw.
    looked_on {date},
    seen_revision bigint
);

comment on table rollup_turns is 'Claims and back-off of whoever computes the numbers of a workspace.';
comment on column rollup_turns.next_at is 'After a failure: no attempt before that.';
