-- table_exists: whether DB_SCHEMA has the table
select to_regclass(quote_ident(current_schema()) || '.' || quote_ident(%(table)s)) is not null

-- table_columns: of tables in DB_SCHEMA, in order: table, name, type, ENUM's oid, generated, identity, NOT NULL, base
-- type, exact collation, referenced
select r.relname::text, a.attname, format_type(a.atttypid, a.atttypmod), case t.typtype when 'e' then t.oid end,
    a.attgenerated <> '', a.attidentity = 'a', a.attnotnull,
    format_type(case t.typtype when 'd' then t.typbasetype else t.oid end, null),
    coalesce(c.collisdeterministic, true), r.oid in (
        select g.tgrelid from pg_trigger g
        where g.tgfoid in ('"RI_FKey_noaction_del"'::regproc, '"RI_FKey_restrict_del"'::regproc,
            '"RI_FKey_cascade_del"'::regproc, '"RI_FKey_setnull_del"'::regproc, '"RI_FKey_setdefault_del"'::regproc))
from pg_class r join pg_attribute a on a.attrelid = r.oid join pg_type t on t.oid = a.atttypid
left join pg_collation c on c.oid = a.attcollation
where r.relname = any (%(tables)s) and r.relnamespace = to_regnamespace(quote_ident(current_schema()))
  and a.attnum > 0 and not a.attisdropped
order by r.oid, a.attnum

-- enum_labels: the labels of an ENUM type
select enumlabel from pg_enum where enumtypid = %(type)s order by enumsortorder

-- owned_type: the ENUM type's qualified name and whether we may change it
select n.nspname, t.typname, pg_has_role(current_user, t.typowner, 'usage')
from pg_type t join pg_namespace n on n.oid = t.typnamespace where t.oid = %(type)s

-- row_checks: what CHECKs ask of a single row: table, name, condition, the columns that it reads
select r.relname::text, k.conname::text, pg_get_expr(k.conbin, k.conrelid), array(
    select attname::text from pg_attribute where attrelid = k.conrelid and attnum = any (k.conkey))
from pg_class r join pg_constraint k on k.conrelid = r.oid
where r.relname = any (%(tables)s) and r.relnamespace = to_regnamespace(quote_ident(current_schema()))
  and k.contype = 'c' and 0 < all (k.conkey) and pg_get_constraintdef(k.oid) not like '%%NOT ENFORCED'
order by k.conname

-- unique_indexes: the unique indexes of tables, the primary keys' too: table, terms, condition, the columns they read;
-- and those of exclusion constraints, which are not unique
select r.relname::text,
    array(select pg_get_indexdef(i.indexrelid, n, true) from generate_series(1, i.indnkeyatts) n order by n),
    pg_get_expr(i.indpred, i.indrelid, true),
    array(select a.attname::text from pg_attribute a where a.attrelid = i.indrelid and a.attnum in (
        select unnest((i.indkey::int2[])[0:i.indnkeyatts - 1])
        union select d.refobjsubid from pg_depend d where d.classid = 'pg_class'::regclass
            and d.objid = i.indexrelid and d.refclassid = 'pg_class'::regclass and d.refobjid = i.indrelid
            and d.refobjsubid > 0)), i.indisunique
from pg_class r join pg_index i on i.indrelid = r.oid
where r.relname = any (%(tables)s) and r.relnamespace = to_regnamespace(quote_ident(current_schema()))
  and (i.indisunique or i.indisexclusion)
order by i.indexrelid

-- has_rows: whether a table holds any row
select exists (select from {table})

-- count_rows: how many rows a table holds
select count(*) from {table}

-- load_session: commits wait for the publish's; hash joins of whole tables, whatever the planner does not know yet
select set_config('synchronous_commit', 'off', false), set_config('enable_mergejoin', 'off', false),
    set_config('jit', 'off', false), set_config('work_mem', '64MB', false),
    set_config('maintenance_work_mem', '128MB', false), set_config('client_min_messages', 'error', false)

-- widen_column: room for longer texts or numbers
alter table {table} alter column {column} type {type}

-- drop_staging: what an earlier run left; the streams' parts of requests hang on the whole
drop table if exists {tables} cascade

-- left_in_staging: tables that an earlier run left in staging
select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'udecdash_staging' and c.relkind = 'r'

-- stage_new: a table that is not there yet is built aside, whole; a row that changes finds room beside the old one
create table {table} ({parts}) with (fillfactor = 95)

-- stage_all: every row for an empty table; unlogged, dropped after the run
create unlogged table {table} ({parts}) with (autovacuum_enabled = off)

-- stage_compared: rows to compare with a table's, for the stream that compares them alone
create temporary table {table} ({parts}) on commit drop

-- key_twice: whether two staged rows have the same key
select exists (select from {staging} group by {key} having count(*) > 1)

-- stands_twice: whether two staged rows have the same values
select exists (
    select from {staging} where {predicate} and num_nulls({terms}) = 0 group by {terms} having count(*) > 1)

-- claimed_twice: whether a row that differs has the same values as another staged row
select exists (
    select from {staging} where {predicate} and ({terms}) in (
        select {terms} from pg_temp._changes where _kind <> 'gone' and {predicate})
    group by {terms} having count(*) > 1)

-- delete_repeats: keep the first row of each key in file order; which files the others came from
with ranked as (
    select ctid as place, row_number() over (order by ctid) as ordinal,
        row_number() over (partition by {key} order by ctid) as copy
    from {staging}),
gone as (delete from {staging} s using ranked r where s.ctid = r.place and r.copy > 1 returning r.ordinal)
select width_bucket(ordinal, {starts}::bigint[]) - 1, count(*) from gone group by 1

-- delete_rivals: rows, first of their key, whose unique value an earlier such row has
with ranked as (
    select *, ctid as _place, row_number() over (order by ctid) as _ordinal,
        row_number() over (partition by {key} order by ctid) as _copy
    from {staging}),
rivals as (
    select _place, _ordinal, row_number() over (partition by {terms} order by _place) as _claim
    from ranked where _copy = 1 and {predicate} and num_nulls({terms}) = 0),
gone as (delete from {staging} s using rivals r where s.ctid = r._place and r._claim > 1 returning r._ordinal)
select width_bucket(_ordinal, {starts}::bigint[]) - 1, count(*) from gone group by 1

-- unknown_labels: values of a staged column that the found ENUM does not know
select distinct {column} from {staging} where {column} is not null and not {column} = any (%(labels)s)

-- reject_staged_labels: leave out the staged rows that hold a label the ENUM cannot take
with numbered as (select ctid as place, row_number() over (order by ctid) as ordinal from {staging}),
gone as (
    delete from {staging} s using numbered n where s.ctid = n.place and s.{column} = any (%(labels)s)
    returning n.ordinal, s.{column} as label)
select width_bucket(ordinal, %(starts)s::bigint[]) - 1, label, count(*) from gone group by 1, 2

-- check_held: a CHECK of the found table, for its staging
constraint {check} check ({condition})

-- given: a value is there
{column} is not null

-- any_breaks: whether a staged row breaks a condition
select exists (select from {staging} where ({condition}) is false)

-- reject_breaking: leave out the staged rows that break a condition
with judged as (
    select ctid as _place, row_number() over (order by ctid) as _ordinal, ({condition}) is false as _breaks
    from {staging}),
gone as (delete from {staging} s using judged j where s.ctid = j._place and j._breaks returning j._ordinal)
select width_bucket(_ordinal, {starts}::bigint[]) - 1, count(*) from gone group by 1

-- find_changes: rows that differ between a table and its staging, by key
create temporary table _changes on commit drop as
select case when {staged_key} is null then 'gone' when {target_key} is null then 'new' when {moved} then 'moved'
    else 'changed' end as _kind, null::tid as _place, null::bigint[] as _body, {merged}
from {staging} s full join {target} t on {same_key}
where {staged_key} is null or {target_key} is null or ({target_columns}) is distinct from ({staged_columns})

-- find_surplus: copies of equal rows that one of a table and its staging has more of
create temporary table _changes on commit drop as
with _had as materialized (select t.ctid as _place, {target_digest} as _body from {target} t),
    _has as materialized (select s.ctid as _place, {staged_digest} as _body from {staging} s),
    _unlike as (
        select _body from (select _body, 1 as _times from _had union all select _body, -1 from _has) _both
        group by _body having sum(_times) <> 0),
    _had_copies as (
        select *, row_number() over (partition by _body) as _copy
        from _had where _body in (select _body from _unlike)),
    _has_copies as (
        select *, row_number() over (partition by _body order by _place) as _copy
        from _has where _body in (select _body from _unlike))
select case when _has_copies._body is null then 'gone' else 'new' end as _kind, _had_copies._place, _had_copies._body,
    {columns}
from _had_copies full join _has_copies using (_body, _copy) left join {staging} _row on _row.ctid = _has_copies._place
where _had_copies._body is null or _has_copies._body is null

-- count_changes: how many rows differ in which way, and whether any of them has no key
select _kind, count(*), bool_or({key} is null) from pg_temp._changes group by 1

-- new_key_twice: whether two new rows have the same key
select exists (select from pg_temp._changes where _kind = 'new' group by {key} having count(*) > 1)

-- drop_changes: they were not found by what tells rows apart
drop table pg_temp._changes

-- keep_changes: for the publish, which is another session
create unlogged table {table} with (autovacuum_enabled = off) as table pg_temp._changes

-- first_insert: every row, into an empty table
insert into {target} ({columns}) overriding system value select {columns} from {staging} s order by s.ctid

-- delete_gone: rows that vanished, or whose unique columns changed and that are written anew
delete from {target} t using {staging} s where s._kind in ('gone', 'moved') and {same_key}

-- delete_placed: copies that the dump no longer has
delete from {target} t using {staging} s where s._kind = 'gone' and t.ctid = s._place and {target_digest} = s._body

-- update_changed: rows that changed
update {target} t set {assignments} from {staging} s where s._kind = 'changed' and {same_key}

-- step_aside: rows that changed give up their unique values
update {target} t set {assignments} from {staging} s where s._kind = 'changed' and {same_key} and {differ}

-- give_up: for a moment
{column} = null

-- insert_new: rows that are new, and those whose unique columns changed
insert into {target} ({columns}) overriding system value
select {columns} from {staging} s where s._kind in ('new', 'moved')

-- taken_names: indexes of a table that was built aside whose names somebody else has in DB_SCHEMA, and free ones
with others as (
    select relname::text as other from pg_class where relnamespace = to_regnamespace(quote_ident(current_schema())))
select c.relname::text, (
    select free from (select left(c.relname, 58) || '_' || n as free from generate_series(1, 999) n) names
    where free not in (table others) limit 1)
from pg_index i join pg_class c on c.oid = i.indexrelid
where i.indrelid = to_regclass(%(table)s) and c.relname in (table others)

-- rename_index: to a name that is free
alter index {index} rename to {free}

-- move_in: a table that was built aside becomes the dashboard's
alter table {table} set schema {schema}

-- promised_grants: what the owner promised to whom on tables to come in DB_SCHEMA
select quote_ident(coalesce(r.rolname, 'public')), g.privilege_type, g.is_grantable
from pg_default_acl d cross join lateral aclexplode(d.defaclacl) g left join pg_roles r on r.oid = g.grantee
where d.defaclobjtype = 'r' and d.defaclnamespace = to_regnamespace(quote_ident(current_schema()))
  and d.defaclrole = to_regrole(quote_ident(current_user))

-- grant: the same on tables that came from elsewhere
grant {privilege} on {tables} to {grantee} {option}

-- record_digest: 128 bits that tell rows apart, whatever their types
array[hash_record_extended(row({columns}), 0), hash_record_extended(row({columns}), 1)]

-- text_digest: the same for servers before version 14
array[hashtextextended(row({columns})::text, 0), hashtextextended(row({columns})::text, 1)]

-- primary_key: a constraint of it
primary key ({columns})

-- unique_key: another
unique ({columns})

-- add_column: a column that the dump has gained
alter table {table} add column {column}

-- number_file: the file that the next rows come from
alter table {table} alter column {column} set default %(number)s

-- analyze: statistics
analyze {table}

-- alter_table: several changes in one pass
alter table {table} {actions}

-- add_key: an index that keeps rows apart
add {key}

-- fit_enum: a staged column becomes the ENUM that the found table has
alter column {column} type {type}
using (case {column} when 'true' then {true} when 'false' then {false} else {column} end)::{type}

-- either: a value of the key, on whichever side the row is
coalesce(s.{column}, t.{column}) as {column}

-- staged: another value; a row that is gone needs none
s.{column}

-- as_text: a value that can be compared only so
{column}::text collate "C"

-- differ: one of these columns has another value
({left}) is distinct from ({right})

-- assign: a column takes the staged value
{column} = s.{column}

-- equal: the same value on both sides, none of them NULL
t.{column} = s.{column}

-- add_label: a state that the found ENUM lacks
alter type {type} add value if not exists {label}

-- wait_a_moment: for no lock longer than a reader who comes behind us may wait
set local lock_timeout = '40ms'
