-- table_exists: whether DB_SCHEMA has the table
select to_regclass(quote_ident(current_schema()) || '.' || quote_ident(%(table)s)) is not null

-- table_columns: a table's columns in order: name, formatted type, whether it is an ENUM, the type's oid
select a.attname, format_type(a.atttypid, a.atttypmod), t.typtype = 'e', t.oid
from pg_attribute a join pg_type t on t.oid = a.atttypid
where a.attrelid = to_regclass(quote_ident(current_schema()) || '.' || quote_ident(%(table)s))
  and a.attnum > 0 and not a.attisdropped
order by a.attnum

-- enum_labels: the labels of an ENUM type
select enumlabel from pg_enum where enumtypid = %(type)s order by enumsortorder

-- owned_type: the ENUM type's qualified name and whether we may change it
select n.nspname, t.typname, pg_has_role(current_user, t.typowner, 'usage')
from pg_type t join pg_namespace n on n.oid = t.typnamespace where t.oid = %(type)s

-- unique_columns: the columns of each unique index of a table, the primary key's too
select array_agg(a.attname::text order by k.place)
from pg_index i
cross join lateral unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) with ordinality k (attnum, place)
join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
where i.indrelid = to_regclass(quote_ident(current_schema()) || '.' || quote_ident(%(table)s))
  and i.indisunique and i.indpred is null and i.indexprs is null
group by i.indexrelid
order by i.indexrelid

-- has_rows: whether a table holds any row
select exists (select from {table})

-- count_rows: how many rows a table holds
select count(*) from {table}

-- staged_surplus: rows of staging whose key stands there already
select count(*) - count(distinct ({key})) from {staging}

-- delete_staged_repeats: keep the first row of each key in file order; which files the others came from
with ranked as (
    select ctid as place, row_number() over (partition by {key} order by _file, ctid) as copy from {staging}
    {present}),
gone as (delete from {staging} s using ranked r where s.ctid = r.place and r.copy > 1 returning s._file)
select _file, count(*) from gone group by _file

-- unknown_labels: values of a staged column that the found ENUM does not know
select distinct {column} from {staging} where {column} is not null and not {column} = any (%(labels)s)

-- reject_staged_labels: leave out the staged rows that hold a label the ENUM cannot take
with gone as (delete from {staging} where {column} = any (%(labels)s) returning _file, {column} as label)
select _file, label, count(*) from gone group by _file, label

-- merge_delete: rows that vanished, or whose unique columns changed and are written anew
delete from {target} t where not exists (
    select from {staging} s where {same_key} {same_unique})

-- merge_update: rows that changed
update {target} t set {assignments} from {staging} s
where {same_key} and ({target_columns}) is distinct from ({staged_columns})

-- merge_moved: how many staged rows are there already under the same key with other unique columns
select count(*) from {target} t join {staging} s on {same_key} where not (true {same_unique})

-- merge_insert: rows that are new
insert into {target} ({columns}) select {columns} from {staging} s
where not exists (select from {target} t where {same_key}) order by s._file, s.ctid

-- first_insert: every row, into an empty table
insert into {target} ({columns}) select {columns} from {staging} s order by s._file, s.ctid

-- multiset_delete: copies of equal rows that the dump no longer has
with _had as (select ctid as _place, {digest} as _body, row_number() over (partition by {digest}) as _copy from {target}),
    _has as (select {digest} as _body, row_number() over (partition by {digest}) as _copy from {staging})
delete from {target} where ctid in (
    select _place from _had left join _has using (_body, _copy) where _has._body is null)

-- multiset_insert: copies of equal rows that the table does not have yet
with _had as (select {digest} as _body, row_number() over (partition by {digest}) as _copy from {target}),
    _has as (select ctid as _place, {digest} as _body,
        row_number() over (partition by {digest} order by _file, ctid) as _copy from {staging})
insert into {target} ({columns})
select {columns} from {staging} where ctid in (
    select _place from _has left join _had using (_body, _copy) where _had._body is null)

-- record_digest: 128 bits that tell rows apart, whatever their types
array[hash_record_extended(row({columns}), 0), hash_record_extended(row({columns}), 1)]

-- text_digest: the same for servers before version 14
array[hashtextextended(row({columns})::text, 0), hashtextextended(row({columns})::text, 1)]

-- create_table: a table of the dump
create table {table} ({parts})

-- primary_key: a constraint of it
primary key ({columns})

-- unique_key: another
unique ({columns})

-- add_column: a column that the dump has gained
alter table {table} add column {column}

-- drop_staging: what an earlier run left
drop table if exists {table}

-- create_staging: unlogged, emptied after each run
create unlogged table {table} ({parts}) with (autovacuum_enabled = off)

-- number_file: the file that the next rows come from
alter table {table} alter column {column} set default %(number)s

-- analyze: statistics for the merge
analyze {table}

-- fit_enum: a staged column becomes the ENUM that the found table has
alter table {table} alter column {column} type {type}
using (case {column} when 'true' then %(true)s when 'false' then %(false)s else {column} end)::{type}

-- all_present: rows that have all of these columns
where num_nulls({columns}) = 0

-- assign: a column takes the staged value
{column} = s.{column}

-- equal: the same value on both sides, none of them NULL
t.{column} = s.{column}

-- and_same: the same value on both sides, or NULL on both
and t.{column} is not distinct from s.{column}

-- add_label: a state that the found ENUM lacks
alter type {type} add value if not exists {label}
