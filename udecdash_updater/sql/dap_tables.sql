-- dap_columns: the columns of a table of Canvas Data 2 in our schema, with their types
select a.attname::text, format_type(a.atttypid, a.atttypmod) from pg_attribute a
where a.attrelid = to_regclass('udecdash_dap.' || quote_ident(%(table)s)) and a.attnum > 0 and not a.attisdropped
order by a.attnum

-- dap_delete_older: of what files say of a key the newest stays: the last file's, the last line's
with ranked as (
    select ctid as place, _file, row_number() over (partition by {key} order by _file desc, ctid desc) as copy
    from {staging}),
gone as (delete from {staging} s using ranked r where s.ctid = r.place and r.copy > 1 returning r._file)
select _file, count(*) from gone group by _file

-- dap_delete: rows that are gone
delete from {target} t using {staging} s where {same_key} and s._action = 'D'

-- dap_delete_vanished: rows that a snapshot does not have
delete from {target} t where not exists (
    select from {staging} s where {same_key} and s._action is distinct from 'D')

-- dap_upsert: rows that are new or other than they were
insert into {target} as t ({columns})
select {columns} from {staging} s where s._action is distinct from 'D'
on conflict ({key}) do update set {assignments} where ({before}) is distinct from ({after})

-- dap_assign: a column takes a value
{column} = {value}

-- dap_new: the new value
excluded.{column}

-- dap_new_or_kept: of a column that Canvas has removed since
coalesce(excluded.{column}, t.{column})

-- dap_add: a column that Canvas has added
add column {column}

-- dap_widen: a column whose type is another by now
alter column {column} type {type} using {column}::{type}

-- dap_record: up to when a table is loaded
insert into udecdash.dap_tables (namespace, table_name, until, schema_version, run_id, rows, columns, places)
values (%(namespace)s, %(table)s, %(until)s, %(version)s, %(run)s, %(rows)s, %(columns)s, %(places)s)
on conflict (namespace, table_name) do update set until = greatest(dap_tables.until, excluded.until),
    schema_version = excluded.schema_version, run_id = excluded.run_id, rows = excluded.rows,
    columns = excluded.columns, places = excluded.places

-- dap_had_columns: the columns of each table by its schema when it was loaded last
select namespace || '.' || table_name, columns from udecdash.dap_tables where columns is not null

-- dap_held: how many rows each table held when it was loaded last
select namespace || '.' || table_name, rows from udecdash.dap_tables where rows is not null

-- dap_known_of: what each table was like when it was loaded last, and whether it has a key now
select namespace || '.' || table_name, rows, places, coalesce(columns, '{{}}'), exists (
    select from pg_index i where i.indisprimary and i.indrelid = to_regclass('udecdash_dap.' || quote_ident(
        case when namespace = 'canvas' then table_name else namespace || '__' || table_name end)))
from udecdash.dap_tables where rows is not null

-- dap_drop: a table that lost a column or its key; it is made anew at once
drop table {table}
