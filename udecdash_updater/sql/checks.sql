-- server_facts: version, whether this session is encrypted, both ends of it, the time, the size of the database
select current_setting('server_version'), current_setting('server_version_num')::integer,
    coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false),
    inet_server_addr() is not null and inet_server_addr() <> inet_client_addr(),
    extract(epoch from clock_timestamp())::float, pg_database_size(current_database()),
    (select setting from pg_settings where name = 'data_directory')

-- schema_rights: whether a schema is there, whether we may create in it, and whether we may create schemas
select n.oid is not null, coalesce(has_schema_privilege(n.oid, 'create'), false),
    has_database_privilege(current_database(), 'create')
from (select 1) one left join pg_namespace n on n.nspname = %(schema)s

-- table_rights: tables of DB_SCHEMA among these that we cannot write, and those that we do not own
select coalesce(array_agg(c.relname::text order by 1) filter (
        where not has_table_privilege(c.oid, 'select') or not has_table_privilege(c.oid, 'insert')
            or not has_table_privilege(c.oid, 'update') or not has_table_privilege(c.oid, 'delete')), '{{}}'),
    coalesce(array_agg(c.relname::text order by 1) filter (where not pg_has_role(c.relowner, 'usage')), '{{}}')
from pg_class c where c.relnamespace = to_regnamespace(quote_ident(current_schema()))
    and c.relkind in ('r', 'p') and c.relname = any (%(tables)s)

-- last_run: the newest run: number, times, exit code, error, its seconds, error in Spanish
select id, started_at, ended_at, exit_code, error, extract(epoch from clock_timestamp() - started_at)::float,
    coalesce(error_es, error)
from udecdash.runs order by id desc limit 1

-- vanished_requests: of the courses that got requests last, how many lost their newest one
select count(*) from (select * from udecdash.course_requests order by newest desc limit 1000) c
where not exists (select from requests r where r.course_id = c.course_id and r.local_id = c.newest)
