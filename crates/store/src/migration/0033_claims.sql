-- What fails each time is tried later and later: claims of what is due since its time was set last.
alter table connections add column probe_claims bigint not null default 0;
alter table credentials add column refresh_claims bigint not null default 0;
