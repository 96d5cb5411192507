-- recall_lines: what is kept of the last load of tables that have as many columns as they had then
select s.table_name, s.number, s.shape, s.contents, s.counts, s.rows, s.print, s.newest, s.repeated,
    s.lines, c.relkind = 'r' and not c.relhasrules and not c.relhassubclass
from udecdash.line_sets s
join pg_class c on c.relname = s.table_name and c.relnamespace = to_regnamespace(quote_ident(current_schema()))
where s.table_name = any (%(tables)s) and s.width = c.relnatts and s.published

-- place: a number that no other row has had in the table; transactions are counted from the first one, 3, because an xid
-- is no number
hashtidextended({tid}, age('3'::xid)::bigint - age({xmin}))

-- table_print: how many rows a table holds, and a sum that changes with each row that somebody writes or takes away
select count(*), coalesce(sum({place}), 0) from {table}

-- print_of_taken: the part of that sum which the rows have that a publish will change or take away
select coalesce(sum({place}), 0) from {target} t join {staging} s on {same_row}
where s._kind in ('gone', 'changed', 'moved')

-- same_place: a row of a table without a key
t.ctid = s._place

-- print_after: rows and sum as they are now, and the part of the sum which this transaction has not written
select count(*), coalesce(sum(place), 0), coalesce(sum(place) filter (where xmin <> pg_current_xact_id()::xid), 0)
from (select xmin, {place} as place from {table} offset 0) places

-- forget_line_set: what is kept no longer tells what the table holds
insert into udecdash.line_sets (table_name) values (%(table)s)
on conflict (table_name) do update set published = false
returning number

-- line_set: the number of what is kept of a table
select number from udecdash.line_sets where table_name = %(table)s

-- delete_line_blocks: a table's lines, when others will be kept
delete from udecdash.line_blocks where number = %(number)s

-- next_line_blocks: a table's lines, some blocks at a time
select ordinal, digests, size, content from udecdash.line_blocks
where number = %(number)s and ordinal > %(after)s order by ordinal limit %(most)s

-- line_keys: the keys in some blocks
select ordinal, keys from udecdash.line_blocks where number = %(number)s and ordinal = any (%(ordinals)s)

-- create_line_keys: the keys of all lines of one table
create temporary table _line_keys (key text) on commit drop

-- repeated_keys: those that stand in more than one line
select key from pg_temp._line_keys group by key having count(*) > 1 limit %(most)s

-- lines_are_kept: they are whole
update udecdash.line_sets set repeated = %(repeated)s::text[], lines = %(lines)s where number = %(number)s

-- create_line_blocks: for the publish: blocks that hold other lines by now
create unlogged table if not exists udecdash_staging._line_blocks (
    number integer not null, ordinal bigint not null, digests bytea not null, keys bytea not null,
    size integer not null, content bytea not null)

-- delete_staged_blocks: of a table that is looked at once more
delete from udecdash_staging._line_blocks where number = %(number)s

-- create_differing: for the publish: rows of all tables that differ, as texts
create unlogged table if not exists udecdash_staging._differing (
    table_name text not null, kind text not null, fields text[] not null, line bigint, place tid, body bigint[])
with (fillfactor = 80);
create index on udecdash_staging._differing (table_name)

-- differing_rows: those of one table as rows of it
(select * from (select ctid, kind, {values} from udecdash_staging._differing where table_name = {table})
as differing (_place, _kind, {columns}))

-- read_differing: each value of each line is read
select count(s::text) from {staging} s

-- forget_differing: lines that were only to be read
delete from udecdash_staging._differing where table_name = %(table)s

-- judge_differing: what a line that differs does to its row, each value of each being read. Of each kind: how many, the
-- newest time of their rows as they are and as they will be, the sum of their places; and whether two lines are of one row
with judged as (
    select s._place, s._kind, s::text as _read, {place} as _was_at, {target_newest} as _was, {staged_newest} as _will, {key},
        case when s._kind = 'gone' and {target_key} is not null then 'gone'
        when s._kind = 'gone' then 'astray' when {target_key} is null then 'new' when {moved} then 'moved'
        when ({target_columns}) is distinct from ({staged_columns}) then 'changed' else 'same' end as _becomes
    from (select * from {staging} s offset 0) s left join {target} t on {same_key}),
noted as (
    update udecdash_staging._differing d set kind = judged._becomes from judged
    where d.ctid = judged._place and judged._kind <> judged._becomes)
select _becomes, count(_read), max(_was), max(_will), coalesce(sum(_was_at), 0),
    exists (select from judged group by {plain_key} having count(*) > 1)
from judged group by _becomes

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

-- greatest: of several times
greatest({times})

-- renew_line_blocks: the tables' lines become those of tonight
insert into udecdash.line_blocks (number, ordinal, digests, keys, size, content)
select number, ordinal, digests, keys, size, content from udecdash_staging._line_blocks
where number = any (%(numbers)s)
on conflict (number, ordinal) do update set digests = excluded.digests, keys = excluded.keys, size = excluded.size,
    content = excluded.content

-- publish_lines: what was kept counts from now on
update udecdash.line_sets s set published = true, shape = coalesce(v.shape, s.shape), contents = v.contents::text[],
    counts = v.counts::bigint[], rows = v.rows,
    repeated = case when v.shape is null then coalesce(v.repeated::text[], s.repeated) end,
    lines = v.lines::bigint, newest = v.newest::timestamp, print = v.print, width = c.relnatts
from (values %s) v (table_name, shape, contents, counts, rows, lines, repeated, newest, print)
join pg_class c on c.relname = v.table_name and c.relnamespace = to_regnamespace(quote_ident(current_schema()))
where s.table_name = v.table_name
