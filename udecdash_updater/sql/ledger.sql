-- prepare_session: names of DB_SCHEMA, UTC, dates year first, no time limits but for locks; a server notices soon that we
-- are gone; policies that would hide rows are an error, because what is not seen would count as done
select set_config('search_path', quote_ident(%(schema)s), false), set_config('timezone', 'UTC', false),
    set_config('lock_timeout', %(lock_timeout)s, false), set_config('datestyle', 'ISO, YMD', false),
    set_config('row_security', 'off', false), set_config('statement_timeout', '0', false), set_config('idle_in_transaction_session_timeout', '0', false),
    set_config('tcp_keepalives_idle', '30', false), set_config('tcp_keepalives_interval', '10', false),
    set_config('tcp_keepalives_count', '3', false), set_config('intervalstyle', 'postgres', false),
    case when current_setting('server_version_num')::integer >= 140000
        then set_config('client_connection_check_interval', '5s', false) end

-- compress_wal: the pages that the WAL gets whole after each checkpoint take a third of their size, where we may say so
select set_config(name, 'lz4', false) from pg_settings
where name = 'wal_compression' and setting = 'off' and 'lz4' = any (enumvals)
  and has_parameter_privilege(name, 'set')

-- compress_wal_well: by zstd, which takes five times as long as lz4 and leaves seven tenths; what the server is told stands
select set_config(name, 'zstd', false) from pg_settings
where name = 'wal_compression' and (setting = 'off' or source = 'session') and 'zstd' = any (enumvals)
  and has_parameter_privilege(name, 'set')

-- schema_exists: asked first, because CREATE SCHEMA IF NOT EXISTS wants rights that nobody needs for a schema there
select exists (select from pg_namespace where nspname = %(schema)s)

-- migrations_exist: asked first, as above
select to_regclass('udecdash.migrations') is not null

-- leftover_sessions: sessions of a killed run that its server still serves; the run lock proves that none is alive
select count(pg_terminate_backend(pid)) from pg_stat_activity
where datname = current_database() and usename = current_user and application_name = %(name)s and pid <> pg_backend_pid()

-- cancel_statements: whatever the sessions of this run are at; those of its ledger have another name
select count(pg_cancel_backend(pid)) from pg_stat_activity
where datname = current_database() and usename = current_user and application_name = %(name)s

-- site_schema: the schema that this ledger tells of
select db_schema from udecdash.site

-- record_site: as above, told once
insert into udecdash.site (db_schema) values (%(schema)s)

-- migrations_table: where applied migrations are recorded
create table udecdash.migrations (
    number integer primary key, name text not null, applied_at timestamptz not null default clock_timestamp())

-- applied_migrations: the numbers of the migrations that this database has
select number from udecdash.migrations order by number

-- record_migration: one more applied
insert into udecdash.migrations (number, name) values (%(number)s, %(name)s)

-- try_run_lock: true when no other session holds the run lock of this database
select pg_try_advisory_lock(hashtext('udecdash-updater'), hashtext('run'))

-- unlock_run: give the run lock back
select pg_advisory_unlock(hashtext('udecdash-updater'), hashtext('run'))

-- run_lock_holder: who holds it: its backend and the newest run that has not ended
select l.pid, r.id, r.host, r.pid, r.started_at
from pg_locks l
left join lateral (select * from udecdash.runs where ended_at is null order by id desc limit 1) r on true
where l.locktype = 'advisory' and l.classid::bigint = (hashtext('udecdash-updater')::bigint & 4294967295)
  and l.objid::bigint = (hashtext('run')::bigint & 4294967295) and l.granted
  and l.database = (select oid from pg_database where datname = current_database())
limit 1

-- migration_lock: wait for any other session that migrates
select pg_advisory_xact_lock(hashtext('udecdash-updater'), hashtext('migrate'))

-- begin_run: a new run
insert into udecdash.runs (host, pid, version, tables) values (%(host)s, %(pid)s, %(version)s, %(tables)s)
returning id, started_at

-- end_abandoned_runs: runs of processes that were killed; holding the lock proves that none of them lives
update udecdash.runs set ended_at = clock_timestamp(), exit_code = 1, error = 'killed'
where ended_at is null and id <> %(run)s

-- newer_run: whether another run began after this one
select exists (select from udecdash.runs where id > %(run)s)

-- end_run: how it ended
update udecdash.runs set ended_at = clock_timestamp(), exit_code = %(exit_code)s, error = %(error)s,
    error_es = %(error_es)s, hint = %(hint)s, hint_es = %(hint_es)s, warnings = %(warnings)s,
    warnings_es = %(warnings_es)s where id = %(run)s

-- failed_before: how many runs in a row failed before this one
select count(*) from udecdash.runs where id < %(run)s and exit_code not in (0, 10)
    and id > (select coalesce(max(id), 0) from udecdash.runs where id < %(run)s and exit_code in (0, 10))

-- begin_stage: a stage begins
insert into udecdash.stages (run_id, position, name, started_at)
values (%(run)s, %(position)s, %(name)s, coalesce(%(began)s, clock_timestamp()))

-- end_stage: a stage ended
update udecdash.stages set ended_at = clock_timestamp(), outcome = %(outcome)s, message = %(message)s,
    message_es = %(message_es)s
where run_id = %(run)s and position = %(position)s

-- record_files: what became of each line of each file
insert into udecdash.files (run_id, table_name, file_name, size, checksum, earliest, lines, loaded, filtered, repeated,
    rejected)
values %s

-- record_rejects: lines left out, without their content
insert into udecdash.rejects (run_id, table_name, file_name, line, reason) values %s

-- record_table_loads: what the publish changed
insert into udecdash.table_loads (run_id, table_name, rows, new, changed, gone, newest, files, columns)
values %s

-- create_schema: a schema of ours
create schema if not exists {schema}
