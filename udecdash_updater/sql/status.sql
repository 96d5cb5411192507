-- running: the run that holds the run lock: number, host, process, begin, its seconds; its stage, and the stage's seconds
select r.id, r.host, r.pid, r.started_at, extract(epoch from clock_timestamp() - r.started_at)::float, s.name,
    extract(epoch from clock_timestamp() - s.started_at)::float
from udecdash.runs r
left join lateral (
    select * from udecdash.stages where run_id = r.id and ended_at is null order by position desc limit 1) s on true
where r.ended_at is null and r.id = (select max(id) from udecdash.runs)

-- table_progress: how far the run is with the tables of its stage
select table_name, files, done, total, rows from udecdash.progress where run_id = %(run)s order by table_name

-- last_nights: the newest runs that have ended: number, begin, seconds, exit code, error; rows that came and went; tables
select r.id, r.started_at, extract(epoch from r.ended_at - r.started_at)::float, r.exit_code, r.error,
    coalesce(r.error_es, r.error), coalesce(l.new, 0)::bigint + coalesce(f.new, 0)::bigint, coalesce(l.changed, 0)::bigint, coalesce(l.gone, 0)::bigint,
    r.tables
from udecdash.runs r
left join lateral (
    select sum(new) as new, sum(changed) as changed, sum(gone) as gone
    from udecdash.table_loads where run_id = r.id) l on true
left join lateral (
    select sum(loaded) as new from udecdash.files where run_id = r.id and table_name = 'requests') f on true
where r.id <> coalesce(%(running)s, 0) order by r.id desc limit %(limit)s

-- newest_run_with_jobs: the newest run that enqueued anything
select max(run_id) from udecdash.jobs

-- failing_courses: courses whose jobs failed, how often in a row, and why
select course_id, failures, failure from udecdash.courses where failures > 0

-- course_names: what courses are called
select id, name from course_dim where id = any (%(courses)s)

-- jobs_at_work: of a run: jobs that have begun and not ended, the oldest first: name, queue, courses, requests, tries, seconds
select id, queue, cardinality(courses), requests, attempts, extract(epoch from clock_timestamp() - started_at)::float
from udecdash.jobs where run_id = %(run)s and outcome is null and started_at is not null
order by started_at, id limit %(limit)s
