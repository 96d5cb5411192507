-- lock_dispatch: one at a time enqueues
select pg_advisory_lock(hashtext('udecdash-updater'), hashtext('dispatch'))

-- newest_run: the run that what is enqueued now belongs to
select max(id) from udecdash.runs

-- open_jobs: jobs that have not ended, as far as the ledger knows
select id, run_id, courses from udecdash.jobs where outcome is null order by id

-- any_open_job: whether there is one
select exists (select from udecdash.jobs where outcome is null)

-- ended_jobs: how many jobs of the run have ended, and how many there are
select count(outcome), count(*) from udecdash.jobs where run_id = %(run)s

-- close_jobs: jobs that have ended without telling the ledger
update udecdash.jobs j set outcome = v.outcome, ended_at = clock_timestamp()
from (values %s) v (id, outcome) where j.id = v.id and j.outcome is null

-- record_jobs: what is enqueued; a job of the same name begins anew
insert into udecdash.jobs (id, run_id, queue, courses, requests) values %s
on conflict (id) do update set run_id = excluded.run_id, queue = excluded.queue, courses = excluded.courses,
    requests = excluded.requests, enqueued_at = clock_timestamp(), started_at = null, ended_at = null, attempts = 0,
    seconds = 0, outcome = null, error = null

-- await_jobs: whether the run waits for its jobs, and that they have not ended, if there are any
update udecdash.runs set jobs_awaited = coalesce(%(awaited)s, jobs_awaited),
    jobs_ended_at = case when not exists (select from udecdash.jobs where run_id = %(run)s and outcome is null)
        then clock_timestamp() end
where id = %(run)s

-- failed_courses: courses that a job of the run gave up, and why
select course_id, failure from udecdash.courses where failed_run = %(run)s and failures > 0 order by course_id

-- listen: be told when a job ends
listen udecdash_jobs

-- start_job: an attempt begins
update udecdash.jobs set started_at = coalesce(started_at, clock_timestamp()), attempts = attempts + 1 where id = %(job)s
returning attempts

-- end_turn: an attempt ended and another one follows
update udecdash.jobs set seconds = seconds + %(seconds)s where id = %(job)s

-- end_job: it has done its work, or was given up; whoever waits is told when this is committed
with ended as (
    update udecdash.jobs set ended_at = clock_timestamp(), outcome = %(outcome)s, error = %(error)s,
        seconds = seconds + %(seconds)s
    where id = %(job)s returning id)
select pg_notify('udecdash_jobs', id) from ended

-- course_failed: a course that a job could not do; its other courses go on
insert into udecdash.courses (course_id, failures, failed_at, failed_run, failure)
values (%(course)s, 1, clock_timestamp(), %(run)s, %(failure)s)
on conflict (course_id) do update set failures = courses.failures + 1, failed_at = excluded.failed_at,
    failed_run = excluded.failed_run, failure = excluded.failure

-- courses_failed: those of a job that was given up, if nothing is known of them since it was enqueued
insert into udecdash.courses (course_id, failures, failed_at, failed_run, failure)
select course, 1, clock_timestamp(), j.run_id, %(error)s
from udecdash.jobs j cross join unnest(j.courses) course left join udecdash.courses c on c.course_id = course
where j.id = %(job)s and coalesce(greatest(c.processed_at, c.failed_at), '-infinity') < j.enqueued_at
on conflict (course_id) do update set failures = courses.failures + 1, failed_at = excluded.failed_at,
    failed_run = excluded.failed_run, failure = excluded.failure

-- failing_last: a job's courses, those that failed before behind the others: how often, and how many requests wait
select course, coalesce(c.failures, 0), greatest(coalesce(r.total, 0) - coalesce(c.total, 0), 0)
from unnest(%(courses)s::bigint[]) with ordinality given (course, place)
left join udecdash.courses c on c.course_id = course
left join udecdash.course_requests r on r.course_id = course order by coalesce(c.failures, 0), place

-- end_jobs: the run whose last job has just ended, once; whether the run waits for it, and when it began
update udecdash.runs r set jobs_ended_at = clock_timestamp()
from udecdash.jobs j
where j.id = %(job)s and r.id = j.run_id and r.jobs_ended_at is null
    and not exists (select from udecdash.jobs o where o.run_id = r.id and o.outcome is null)
returning r.id, r.jobs_awaited, r.started_at

-- jobs_by_queue: of the newest run that has any: per queue those that wait, are at work and have failed
select queue, count(*) filter (where outcome is null and started_at is null),
    count(*) filter (where outcome is null and started_at is not null), count(*) filter (where outcome = 'failed')
from udecdash.jobs where run_id = (select max(run_id) from udecdash.jobs) group by queue order by min(enqueued_at), queue

-- run_jobs: of a run: jobs, done, failed, lost, open; courses; seconds from the first start to the last end, or until now
-- while some are open; worked; of the open ones those at work, and for how long the oldest of them
select count(*), count(*) filter (where outcome = 'done'), count(*) filter (where outcome = 'failed'),
    count(*) filter (where outcome = 'lost'), count(*) filter (where outcome is null),
    coalesce(sum(cardinality(courses)), 0)::bigint,
    coalesce(extract(epoch from case when count(*) = count(outcome) then max(ended_at) else clock_timestamp() end
        - min(started_at)), 0)::float,
    coalesce(sum(seconds), 0)::float,
    count(*) filter (where outcome is null and started_at is not null),
    coalesce(extract(epoch from clock_timestamp() - min(started_at) filter (where outcome is null)), 0)::float
from udecdash.jobs where run_id = %(run)s
