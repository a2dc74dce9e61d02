-- What each service may do with the record, and nothing else. These roles cannot log in: a deployment's users are members
-- of them. This may be run again at any time, and is after each migration.
do $$
declare
    name text;
begin
    foreach name in array array['tidemark_credentials', 'tidemark_worker', 'tidemark_aggregator'] loop
        begin
            execute format('create role %I nologin', name);
        exception when duplicate_object or unique_violation then
            null;
        end;
    end loop;
end
$$;

-- This file says all that they may: what an earlier one said does not count any more.
revoke all on all tables in schema public from tidemark_credentials, tidemark_worker, tidemark_aggregator;
grant usage on schema public to tidemark_credentials, tidemark_worker, tidemark_aggregator;

-- Every process carries messages, knows callers, and writes down whom it refused.
grant select on seaql_migrations, service_tokens, connections
    to tidemark_credentials, tidemark_worker, tidemark_aggregator;
grant update (last_used_at) on service_tokens to tidemark_credentials, tidemark_worker, tidemark_aggregator;
grant select, insert, update, delete on outbox, inbox to tidemark_credentials, tidemark_worker, tidemark_aggregator;
grant select, insert on feed to tidemark_credentials, tidemark_worker, tidemark_aggregator;
-- What is in the audit log can be changed by nobody.
grant select, insert on audit to tidemark_credentials, tidemark_worker, tidemark_aggregator;
grant select, insert, update on audit_heads to tidemark_credentials, tidemark_worker, tidemark_aggregator;

-- The credential service: connections and everything sealed.
grant insert, update, delete on connections to tidemark_credentials;
grant update, delete on feed to tidemark_credentials;
grant select, insert, update, delete on
    credentials, consents, reconnect_episodes, feed_head, webhook_endpoints, webhook_secrets, webhook_deliveries,
    webhook_attempts, invitations, invitation_tokens, invitation_quotas, invitation_mails, connect_links,
    console_sessions
    to tidemark_credentials;
-- It holds what is assumed of the vendor against each workspace that is connected.
grant insert, update on vendor_findings to tidemark_credentials;
-- It breaks the fence of a workspace that is disconnected: whoever still syncs it writes no more.
grant select, insert, update on fences to tidemark_credentials;
-- It deletes the facts of a workspace whose owner asks for that, and what is kept no longer (retention.rs).
grant delete on fences, service_tokens to tidemark_credentials;
grant select, delete on
    runs, run_streams, schedules,
    members, member_versions, teams, team_members, member_days, day_coverage, doubted_days, resources, configurations,
    stream_marks, listings, listed, schema_drift, data_flags, vendor_findings, quarantined_rows, sync_options, rollup_marks,
    rollup_team_marks, rollup_turns, rollup_heads, rollup_numbers, activity_windows, activity_blocks, activity_pages, seats,
    recommendations, acceptances, contracts, exemptions, alerts
    to tidemark_credentials;

-- Workers: runs and facts.
grant select, insert, update, delete on
    members, member_versions, teams, team_members, member_days, day_coverage, doubted_days, resources, configurations,
    stream_marks, listings, listed, schema_drift, runs, run_streams, fences, schedules, sync_options, rollup_marks,
    rollup_team_marks, data_flags, vendor_findings, quarantined_rows
    to tidemark_worker;

-- The aggregator: numbers out of facts.
grant select on
    members, member_versions, teams, team_members, member_days, day_coverage, resources, stream_marks, runs,
    run_streams, quarantined_rows, vendor_findings
    to tidemark_aggregator;
grant select, insert, update, delete on
    rollup_marks, rollup_team_marks, rollup_turns, rollup_heads, rollup_numbers, activity_windows, activity_blocks,
    activity_pages, data_flags, seats, recommendations, acceptances, contracts, exemptions, alerts
    to tidemark_aggregator;
-- It keeps a connection from being disconnected while it commits: PostgreSQL takes the right to change some column for that.
grant update (id) on connections to tidemark_aggregator;
