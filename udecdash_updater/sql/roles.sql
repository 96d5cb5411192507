-- missing_grants: what udecdash_worker lacks of the tables that jobs write; nothing where that account is not there
select w.privilege || coalesce(' (' || w.written || ')', ''), c.oid::regclass::text
from (values
    ('insert', current_schema(), '%\_interactions', null),
    ('update', current_schema(), 'unprocessable\_interactions', null),
    ('delete', current_schema(), 'unprocessable\_interactions', null),
    ('insert', 'udecdash', 'courses', null), ('update', 'udecdash', 'courses', null),
    ('insert', 'udecdash', 'wanted', null), ('delete', 'udecdash', 'wanted', null),
    ('update', 'udecdash', 'jobs', null), ('update', 'udecdash', 'runs', 'jobs_ended_at'))
    w (privilege, place, pattern, written)
join pg_roles r on r.rolname = 'udecdash_worker'
join pg_class c on c.relnamespace = w.place::regnamespace and c.relname like w.pattern and c.relkind = 'r'
where pg_has_role(current_user, c.relowner, 'usage') and not case when w.written is null
    then has_table_privilege(r.oid, c.oid, w.privilege) else has_column_privilege(r.oid, c.oid, w.written, w.privilege) end

-- grant_to_worker: one of them
grant {privilege} on {table} to udecdash_worker

-- missing_sequence: the sequence that numbers what found nothing, where udecdash_worker may not use it
select s.name
from pg_roles r
cross join pg_get_serial_sequence(quote_ident(current_schema()) || '.unprocessable_interactions', 'id') s (name)
where r.rolname = 'udecdash_worker' and not has_sequence_privilege(r.oid, s.name, 'usage')

-- grant_sequence: the worker may take numbers from it
grant usage on sequence {sequence} to udecdash_worker
