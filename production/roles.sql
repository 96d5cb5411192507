-- PostgreSQL accounts of least privilege, for one dashboard database. Run it as a superuser, in that database:
--
--   psql -v ON_ERROR_STOP=1 -d NAME_OF_THE_DATABASE -f production/roles.sql
--
-- and before it, where DB_SCHEMA is not public:  export PGOPTIONS='-c udecdash.schema=NAME_OF_THE_SCHEMA'
-- No account gets a password here. Give each one yours, which psql then asks for:  \password udecdash_loader
--
--   udecdash_loader   DB_USERNAME of the nightly run: owns the tables that it fills, and nothing else
--   udecdash_worker   DB_USERNAME of the workers: reads, writes interactions, never the tables of the dump
--   udecdash_reader   for whatever only reads the dashboard's tables; grant it to the dashboard's own account
--
-- It may be run again at any time, also on a database that was filled by another account: the tables that the updater
-- fills then become the loader's, and the account that owned them becomes a member of it, so that it can go on.

begin;

set local client_min_messages to warning;

do $$
declare
    schema_name text := coalesce(nullif(current_setting('udecdash.schema', true), ''), 'public');
    account text;
    found record;
begin
    foreach account in array array['udecdash_loader', 'udecdash_worker', 'udecdash_reader'] loop
        if not exists (select from pg_roles where rolname = account) then
            execute format('create role %I', account);
        end if;
        execute format('alter role %I login nosuperuser nocreatedb nocreaterole noreplication nobypassrls', account);
        execute format('grant connect on database %I to %I', current_database(), account);
    end loop;
    -- An error of PostgreSQL, its DETAIL and CONTEXT quote rows, that is student data. The updater gets them and tells
    -- of them without the rows; the server's own log is not told.
    foreach account in array array['udecdash_loader', 'udecdash_worker'] loop
        execute format('alter role %I set log_min_messages = log', account);
        execute format('alter role %I set log_error_verbosity = terse', account);
    end loop;
    -- Jobs gather their rows in temporary tables.
    execute format('grant temporary on database %I to udecdash_loader, udecdash_worker', current_database());

    -- Their sessions compress the pages that the WAL gets whole, where the server has lz4 or zstd.
    if current_setting('server_version_num')::integer >= 150000 then
        execute 'grant set on parameter wal_compression to udecdash_loader, udecdash_worker';
    end if;

    -- Until version 14 everybody might create things in public, and so put them in others' way.
    revoke create on schema public from public;
    execute format('create schema if not exists %I', schema_name);
    create schema if not exists udecdash;
    create schema if not exists udecdash_staging;
    create schema if not exists udecdash_dap;
    alter schema udecdash owner to udecdash_loader;
    alter schema udecdash_staging owner to udecdash_loader;
    alter schema udecdash_dap owner to udecdash_loader;
    execute format('grant usage, create on schema %I to udecdash_loader', schema_name);
    execute format('grant usage on schema %I to udecdash_worker, udecdash_reader', schema_name);
    grant usage on schema udecdash to udecdash_worker;

    -- What is there already: the ledger, and of DB_SCHEMA only what the updater fills.
    create temporary table filled on commit drop as
    select c.oid, c.relowner, c.relnamespace::regnamespace::text as place
    from pg_class c
    where c.relkind in ('r', 'p') and (
        c.relnamespace in (
            'udecdash'::regnamespace, 'udecdash_staging'::regnamespace, 'udecdash_dap'::regnamespace)
        or c.relnamespace = (select oid from pg_namespace where nspname = schema_name) and (
            c.relname = 'requests' or c.relname like '%\_dim' or c.relname like '%\_fact'
            or c.relname like '%\_interactions'));
    for found in
        select distinct o.rolname from filled f join pg_roles o on o.oid = f.relowner
        where not o.rolsuper and o.rolname <> 'udecdash_loader'
    loop
        execute format('grant udecdash_loader to %I', found.rolname);
    end loop;
    for found in select oid::regclass as name from filled loop
        execute format('alter table %s owner to udecdash_loader', found.name);
    end loop;
    -- States that an ENUM of such a table lacks are added to it.
    for found in
        select distinct t.oid::regtype as name
        from filled f join pg_attribute a on a.attrelid = f.oid join pg_type t on t.oid = a.atttypid
        where t.typtype = 'e' and a.attnum > 0 and not a.attisdropped
    loop
        execute format('alter type %s owner to udecdash_loader', found.name);
    end loop;
    for found in select oid::regprocedure as name from pg_proc where pronamespace = 'udecdash'::regnamespace loop
        execute format('alter function %s owner to udecdash_loader', found.name);
    end loop;

    -- Reading: what is there, and what the loader will create. Writing is granted by the loader itself, table by table.
    for found in select oid::regclass as name, place from filled where place not in ('udecdash_staging', 'udecdash_dap') loop
        execute format('grant select on %s to udecdash_worker', found.name);
        if found.place <> 'udecdash' then
            execute format('grant select on %s to udecdash_reader', found.name);
        end if;
    end loop;
    execute format(
        'alter default privileges for role udecdash_loader in schema %I'
        ' grant select on tables to udecdash_worker, udecdash_reader', schema_name);
    alter default privileges for role udecdash_loader in schema udecdash grant select on tables to udecdash_worker;
    -- The first updater's record of loaded files is read where it is there.
    if to_regclass(format('%I.package_files_loaded', schema_name)) is not null then
        execute format('grant select on %I.package_files_loaded to udecdash_loader', schema_name);
    end if;
end
$$;

commit;
