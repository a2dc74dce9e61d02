-- Teams with other members than when the newest rollup was made. Teams have no past: their numbers are to be computed
-- again on all days, and nobody else's are.
create table rollup_team_marks (
    connection_id {id} not null,
    team_id {uuid} not null,
    -- The connection's revision in rollup_marks that it came with: a rollup takes away what it has seen.
    revision bigint not null,
    primary key (connection_id, team_id)
);

comment on table rollup_team_marks is 'Teams whose numbers have to be computed again on all days.';
