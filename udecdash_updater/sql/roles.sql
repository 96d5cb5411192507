-- missing_grants: what udecdash_worker lacks of the tables that jobs write; nothing where that account is not there
select w.privilege, c.oid::regclass::text
from (values
    ('insert', current_schema(), '%\_interactions'),
    ('update', current_schema(), 'unprocessable\_interactions'),
    ('delete', current_schema(), 'unprocessable\_interactions'),
    ('insert', 'udecdash', 'courses'), ('update', 'udecdash', 'courses'),
    ('insert', 'udecdash', 'wanted'), ('delete', 'udecdash', 'wanted')) w (privilege, place, pattern)
join pg_roles r on r.rolname = 'udecdash_worker'
join pg_class c on c.relnamespace = w.place::regnamespace and c.relname like w.pattern and c.relkind = 'r'
where pg_has_role(current_user, c.relowner, 'usage') and not has_table_privilege(r.oid, c.oid, w.privilege)

-- grant_to_worker: one of them
grant {privilege} on {table} to udecdash_worker

-- missing_sequence: the sequence that numbers what found nothing, where udecdash_worker may not use it
select s.name
from pg_roles r
cross join pg_get_serial_sequence(quote_ident(current_schema()) || '.unprocessable_interactions', 'id') s (name)
where r.rolname = 'udecdash_worker' and not has_sequence_privilege(r.oid, s.name, 'usage')

-- grant_sequence: the worker may take numbers from it
grant usage on sequence {sequence} to udecdash_worker
