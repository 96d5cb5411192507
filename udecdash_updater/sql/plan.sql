-- only_reading: whatever this session does, it changes nothing
set default_transaction_read_only = on

-- ledger_exists: whether any run has been here
select to_regclass('udecdash.runs') is not null

-- usual_stages: the seconds that each stage took, the median of the last whole nights that went well
select s.name, percentile_cont(0.5) within group (order by extract(epoch from s.ended_at - s.started_at))::float
from udecdash.stages s
where s.ended_at is not null and s.run_id in (
    select id from udecdash.runs where exit_code in (0, 10) and tables = '{{}}' order by id desc limit 5)
group by s.name order by min(s.position)

-- last_rows: how many rows each table had after its last publish
select distinct on (table_name) table_name, rows from udecdash.table_loads order by table_name, run_id desc
