-- run_number: the run of this number, or the newest; nothing where there is none
select max(id) from udecdash.runs where id = coalesce(%(run)s, id)

-- run_files: per table, what became of the lines this run read
select table_name, count(*), sum(lines), sum(loaded), sum(filtered), sum(repeated), sum(rejected)
from udecdash.files where run_id = %(run)s group by table_name order by table_name

-- run_tables: per table, what this run changed
select table_name, rows, new, changed, gone from udecdash.table_loads where run_id = %(run)s order by table_name

-- run_stages: the stages of a run with their seconds
select name, outcome, extract(epoch from ended_at - started_at)::float from udecdash.stages
where run_id = %(run)s order by position

-- run_interactions: what the run's jobs have done so far
select count(*), coalesce(sum(judged), 0)::bigint, coalesce(sum(interactions), 0)::bigint
from udecdash.courses where processed_run = %(run)s

-- rejected_lines: how many lines this run left out
select count(*) from udecdash.rejects where run_id = %(run)s

-- rows_about: PostgreSQL's own estimate of a large table's rows, or null where counting is cheap
select case when reltuples > 1000000 then reltuples::bigint end
from pg_class where oid = to_regclass(quote_ident(current_schema()) || '.' || quote_ident(%(table)s))
