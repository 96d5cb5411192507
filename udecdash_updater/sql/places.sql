-- create_placed_lines: all lines of one table, each with its digest, to find their rows
create temporary table _placed_lines (_line bigint not null, {parts}) on commit drop

-- keep_line_places: the row of each line; a line without a row, or a row without a line, is refused by NOT NULL
insert into udecdash.line_places (number, line, place, body)
select %(number)s, _line, _place, _body
from (select s._line, {staged_digest} as _body, row_number() over (partition by {staged_digest}) as _copy
    from pg_temp._placed_lines s) has
full join (select t.ctid as _place, {target_digest} as _body, row_number() over (partition by {target_digest}) as _copy
    from {target} t) had using (_body, _copy)

-- delete_line_places: of a table whose lines are forgotten
delete from udecdash.line_places where number = %(number)s

-- stage_gone_places: the rows of lines that are gone, of equal ones as many as there are such lines
insert into udecdash_staging._differing (table_name, kind, fields, line, place, body)
select %(table)s, 'gone', array[]::text[], line, place, body
from (select *, row_number() over (partition by line order by place) as copy from udecdash.line_places
    where number = %(number)s and line = any (%(lines)s)) kept
join unnest(%(lines)s::bigint[], %(times)s::bigint[]) due (line, times) using (line)
where copy <= times

-- placed_rows: the lines that differ of a table without a key, as rows of it, each with its place there (_at), and
-- with place and digest of the row that is gone
(select * from (
    select ctid, place, body, line, kind, {values} from udecdash_staging._differing where table_name = {table})
as differing (_at, _place, _body, _line, _kind, {columns}))

-- judge_placed: whether the rows that are gone stand where they stood, each value of the new ones being read. How many
-- they are; the newest times of the ones and of the others, the sum of the places of those that are gone
with gone as (
    select t.ctid as _place, {place} as _was_at, {target_newest} as _was from {staging} s
    join {target} t on t.ctid = s._place and {target_digest} = s._body where s._kind = 'gone'),
new as (
    select s::text as _read, {staged_newest} as _will from (select * from {staging} s offset 0) s where s._kind = 'new')
select (select count(distinct _place) from gone), (select count(_read) from new), (select max(_was) from gone),
    (select max(_will) from new), (select coalesce(sum(_was_at), 0) from gone)

-- placed_newest: the newest time in the table as it will be
select max(greatest({times})) from (
    select {times} from {target} t where ctid not in (select _place from {staging} s where s._kind = 'gone')
    union all select {times} from {staging} s where s._kind = 'new') as rows

-- insert_placed: rows that are new, and where each of them stands now
with done as (
    insert into {target} as t ({columns}) overriding system value
    select {columns} from {staging} s where s._kind = 'new'
    returning t.ctid as _place, {target_digest} as _body, {place} as _at),
noted as (
    insert into udecdash.line_places (number, line, place, body)
    select %(number)s, _line, _place, _body
    from (select _place, _body, row_number() over (partition by _body) as _copy from done) rows
    join (select s._line, {staged_digest} as _body, row_number() over (partition by {staged_digest}) as _copy
        from {staging} s where s._kind = 'new') lines using (_body, _copy))
select count(*), coalesce(sum(_at), 0) from done

-- forget_gone_places: they are free for other rows
delete from udecdash.line_places p using udecdash_staging._differing d
where p.number = %(number)s and d.table_name = %(table)s and d.kind = 'gone' and p.line = d.line and p.place = d.place
