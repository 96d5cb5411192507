-- What was enqueued and what became of it: the queue in Redis may be lost at any time, this stays.

-- requests: about how many were due. started_at: of the first attempt. seconds: worked, all attempts together.
-- lost: not in Redis any more, so what it left undone was enqueued again.
create table udecdash.jobs (
    id text primary key,
    run_id bigint not null references udecdash.runs on delete cascade,
    queue text not null,
    courses bigint[] not null,
    requests bigint not null,
    enqueued_at timestamptz not null default clock_timestamp(),
    started_at timestamptz,
    ended_at timestamptz,
    attempts integer not null default 0,
    seconds double precision not null default 0,
    outcome text check (outcome in ('done', 'failed', 'lost')),
    error text
);
create index jobs_by_run on udecdash.jobs (run_id);
create index open_jobs on udecdash.jobs (run_id) where outcome is null;

-- jobs_ended_at: when the last job of the run had ended. jobs_awaited: the run itself tells of their failures.
alter table udecdash.runs
    add column jobs_ended_at timestamptz,
    add column jobs_awaited boolean not null default false;

-- failures: in a row, of jobs that worked on the course; the last one's reason, and the run whose job it was.
alter table udecdash.courses
    add column failures integer not null default 0,
    add column failed_at timestamptz,
    add column failed_run bigint,
    add column failure text;
