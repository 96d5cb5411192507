-- acting_on: triggers and rules of a table and of its partitions that act on what is written: on which, kind, name
with found as (
    select to_regclass(%(table)s) as id union select relid from pg_partition_tree(to_regclass(%(table)s)))
select id::text, 'trigger', quote_ident(tgname)
from found join pg_trigger t on tgrelid = id
where not tgisinternal and tgenabled in ('O', 'A')
  and coalesce(to_jsonb(t) ->> 'tgparentid', '0') = '0' -- a parent's own; version 12 does not tell
union all
select id::text, 'rule', quote_ident(rulename)
from found join pg_rewrite on ev_class = id where rulename <> '_RETURN' and ev_enabled in ('O', 'A')
order by 1, 2, 3

-- last_place: the place behind the last row of a table of ours, as a number
select pg_relation_size(%(table)s::regclass) / current_setting('block_size')::int * 2048

-- staged_part: rows of a staging between two places
(select {place}, * from {staging} p where {place} >= {low}::tid and {place} < {high}::tid)

-- staged_key: the key of the row that stands there
select concat_ws(E'\t', {key}) from {staging} s

-- row_text: all that a row holds
row({columns})::text

-- stage_numbered: rows of a table without a key, each with its line's number
create temporary table {numbered} (like {staging}, _line bigint) on commit drop

-- take_refused: rows that the table refuses leave it; the numbers of their lines, and what they held
delete from {numbered} where {row_text} = any (%(rows)s) returning _line, {row_text}

-- stage_taken: the others, in the order of their lines
insert into {staging} ({columns}) select {columns} from {numbered} order by _line

-- drop_numbered: the next file has other lines
drop table {numbered}
