-- What is deleted by its age is found by its age.
create index runs_finished on runs (finished_at) where finished_at is not null;
create index reconnect_episodes_closed on reconnect_episodes (closed_at) where closed_at is not null;
create index alerts_ended on alerts (ended_at) where ended_at is not null;
create index invitations_updated on invitations (updated_at);
