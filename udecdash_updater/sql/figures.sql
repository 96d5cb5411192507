-- lock_pages: one at a time writes the report's pages
select pg_advisory_lock(hashtext('udecdash-updater'), hashtext('pages'))

-- newest_runs: the runs up to this one (null: up to the newest), oldest first, with what became of rows and lines
with chosen as (
    select * from udecdash.runs where id <= coalesce(%(run)s, id) order by id desc limit %(limit)s),
loads as (
    select run_id, sum(new) as new, sum(changed) as changed, sum(gone) as gone
    from udecdash.table_loads where run_id in (select id from chosen) group by run_id),
appended as (
    select run_id, sum(rejected) as rejected, sum(loaded) filter (where table_name = 'requests') as new
    from udecdash.files where run_id in (select id from chosen) group by run_id)
-- A killed run is closed by the next one: how long it lived is seen in its stages.
select c.id, c.started_at, case when c.error = 'killed' then coalesce(
        (select max(coalesce(s.ended_at, s.started_at)) from udecdash.stages s where s.run_id = c.id), c.started_at)
    else c.ended_at end, c.exit_code, c.error, c.warnings,
    coalesce(c.error_es, c.error), coalesce(c.warnings_es, c.warnings), coalesce(c.hint, ''), coalesce(c.hint_es, ''),
    (coalesce(l.new, 0) + coalesce(a.new, 0))::bigint, coalesce(l.changed, 0)::bigint, coalesce(l.gone, 0)::bigint,
    coalesce(a.rejected, 0)::bigint
from chosen c left join loads l on l.run_id = c.id left join appended a on a.run_id = c.id order by c.id

-- usual_page_seconds: how long the loading page was up in the middle one of the last good runs; null after none
select percentile_cont(0.5) within group (order by extract(epoch from took)) from (
    select min(b.ended_at) - min(a.started_at) as took
    from udecdash.runs r
    join udecdash.stages a on a.run_id = r.id and a.name = 'maintenance on'
    join udecdash.stages b on b.run_id = r.id and b.name = 'maintenance off' and b.outcome = 'done'
    where r.exit_code in (0, 10) and r.id <> %(run)s group by r.id order by r.id desc limit 10) lately

-- next_run: the run after this one, if there is one
select min(id) from udecdash.runs where id > %(run)s

-- stage_times: the stages of a run: name, outcome, message, seconds from the run's start to its begin, seconds it took
select s.name, coalesce(s.outcome, 'running'), coalesce(s.message, ''),
    greatest(extract(epoch from s.started_at - min(s.started_at) over ()), 0)::float,
    greatest(extract(epoch from coalesce(s.ended_at, clock_timestamp()) - s.started_at), 0)::float
from udecdash.stages s where s.run_id = %(run)s order by s.position

-- table_figures: per table of a run: files, lines and what became of them, rows, new, changed, gone
with f as (
    select table_name, count(*) as files, sum(lines) as lines, sum(loaded) as loaded, sum(filtered) as filtered,
        sum(repeated) as repeated, sum(rejected) as rejected
    from udecdash.files where run_id = %(run)s group by table_name),
l as (
    select table_name, rows, new, changed, gone from udecdash.table_loads where run_id = %(run)s)
select table_name, coalesce(f.files, 0), coalesce(f.lines, 0)::bigint, coalesce(f.loaded, 0)::bigint,
    coalesce(f.filtered, 0)::bigint, coalesce(f.repeated, 0)::bigint, coalesce(f.rejected, 0)::bigint,
    l.rows, coalesce(l.new, case table_name when 'requests' then f.loaded end, 0)::bigint, coalesce(l.changed, 0), coalesce(l.gone, 0)
from f full join l using (table_name) order by table_name

-- some_rejects: the first lines that a run left out: where and why
select table_name, file_name, line, reason from udecdash.rejects where run_id = %(run)s
order by table_name, file_name, line limit %(limit)s

-- limit_statements: no statement of this session takes longer
select set_config('statement_timeout', %(milliseconds)s, false)

-- table_size: PostgreSQL's own estimate of a table's rows; nothing where there is no such table
select greatest(reltuples, 0)::bigint from pg_class
where oid = to_regclass(quote_ident(current_schema()) || '.' || quote_ident(%(table)s)) and relkind in ('r', 'p', 'm')

-- interactions_by_hour: how many interactions of one kind each hour of the day has seen, in a share of the table
select extract(hour from viewed)::integer, count(*) from {table} tablesample system (%(percent)s) group by 1
