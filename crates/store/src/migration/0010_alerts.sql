-- JSON of what was told, for whoever lists alerts. Null where nothing was: it held before anybody looked.
alter table alerts add column detail text;
-- Whom it is about, where it is about a member.
alter table alerts add column member_id {uuid};
-- Since when it does not hold any more. Told again, it begins again.
alter table alerts add column ended_at {time};

comment on table alerts is 'Alerts that hold, and the last time of those that have ended.';
comment on column alerts.detail is 'JSON of what was told; null where it held before anybody looked.';
