-- recall_lines: what is kept of a table's last load, where the table has the columns that it had then
select s.number, s.contents, s.counts, s.rows, s.print, s.newest
from udecdash.line_sets s
join pg_class c on c.oid = to_regclass(quote_ident(current_schema()) || '.' || quote_ident(%(table)s))
where s.table_name = %(table)s and s.shape = %(shape)s and s.width = c.relnatts and s.published

-- table_print: how many rows a table holds, and a sum that changes with each row that somebody writes or takes away
select count(*), coalesce(sum(hash_record_extended(row(ctid, xmin), 0)), 0) from {table}

-- print_of_taken: the part of that sum which the rows have that a publish will change or take away
select coalesce(sum(hash_record_extended(row(t.ctid, t.xmin), 0)), 0)
from {target} t join {staging} s on {same_row} where s._kind in ('gone', 'changed', 'moved')

-- same_place: a row of a table without a key
t.ctid = s._place

-- print_after: rows and sum as they are now, and the part of the sum which this transaction has not written
select count(*), coalesce(sum(place), 0), coalesce(sum(place) filter (where xmin <> pg_current_xact_id()::xid), 0)
from (select xmin, hash_record_extended(row(ctid, xmin), 0) as place from {table} offset 0) places

-- forget_line_set: what is kept no longer tells what the table holds
insert into udecdash.line_sets (table_name) values (%(table)s)
on conflict (table_name) do update set published = false
returning number

-- line_set: the number of what is kept of a table
select number from udecdash.line_sets where table_name = %(table)s

-- create_lines: a table's lines by key; unlogged, it may be lost
create unlogged table {lines} (key text, digest bigint)

-- lines_exist: whether a table's lines were kept
select to_regclass(%(lines)s) is not null

-- create_tonights_lines: what the files hold tonight, one table after the other in one stream
create temporary table if not exists _lines (key text, digest bigint) on commit delete rows

-- empty_tonights_lines: where the same transaction looks at them twice
delete from pg_temp._lines

-- lines_differing: lines that are new, other than they were, or gone, by key
select coalesce(n.key, l.key), n.digest, l.digest is null
from {lines} l full join pg_temp._lines n on l.key = n.key
where l.digest is distinct from n.digest limit %(most)s

-- create_differing: for the publish: rows of all tables that differ, as texts
create unlogged table if not exists udecdash_staging._differing (
    table_name text not null, kind text, line_key text not null, digest bigint, fields text[] not null)

-- record_differing: lines that differ
insert into udecdash_staging._differing values %s

-- differing_rows: those of one table as rows of it
(select ctid as _place, kind as _kind, {columns} from udecdash_staging._differing where table_name = {table})

-- differing_value: one column of them
fields[{place}]::{type} as {column}

-- judge_differing: what a line that differs does to its row
update udecdash_staging._differing d set kind = judged.kind
from (select s._place, case when s._kind = 'gone' and {target_key} is not null then 'gone'
        when s._kind = 'gone' then 'astray' when {target_key} is null then 'new' when {moved} then 'moved'
        when ({target_columns}) is distinct from ({staged_columns}) then 'changed' else 'same' end as kind
    from {staging} s left join {target} t on {same_key}) judged
where d.ctid = judged._place

-- differing_kinds: how many lines of a table do what, each value of each being read; and whether two are of one row
select _kind, count(s::text), exists (select from {staging} twice group by {key} having count(*) > 1)
from {staging} s group by _kind

-- differing_claims: whether a row to be written has a unique value of another one
select exists (
    select from {staging} s where s._kind <> 'gone' and {predicate} and num_nulls({terms}) = 0
    group by {terms} having count(*) > 1)
or exists (
    select from {target} where {predicate} and ({terms}) in (
        select {terms} from {staging} s where s._kind in ('new', 'moved') and {predicate})
    and ({key}) not in (select {key} from {staging} s))

-- differing_newest: the newest time in the table as it will be
select max(greatest({times})) from (
    select {times} from {target} t where not exists (select from {staging} s where {same_key})
    union all select {times} from {staging} s where s._kind <> 'gone') as rows

-- renew_lines: the table's lines become those of tonight
with gone as (delete from {lines} l using udecdash_staging._differing d
    where d.table_name = %(table)s and l.key = d.line_key)
insert into {lines} (key, digest)
select line_key, digest from udecdash_staging._differing where table_name = %(table)s and kind <> 'gone'

-- publish_lines: what was kept counts from now on
update udecdash.line_sets s set published = true, shape = coalesce(%(shape)s, shape), contents = %(contents)s,
    counts = %(counts)s::bigint[], rows = %(rows)s, newest = %(newest)s, print = %(print)s, width = c.relnatts
from pg_class c
where s.table_name = %(table)s and c.oid = to_regclass(quote_ident(current_schema()) || '.' || quote_ident(%(table)s))
