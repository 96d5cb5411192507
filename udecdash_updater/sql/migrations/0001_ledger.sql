-- The ledger: what ran, what it loaded, and how far each course's interactions are.
create table udecdash.site (
    db_schema text not null
);

create table udecdash.runs (
    id bigint generated always as identity primary key,
    started_at timestamptz not null default clock_timestamp(),
    ended_at timestamptz,
    host text not null,
    pid integer not null,
    version text not null,
    exit_code integer,
    error text,
    warnings text[] not null default '{}'
);

create table udecdash.stages (
    run_id bigint not null references udecdash.runs on delete cascade,
    position integer not null,
    name text not null,
    started_at timestamptz not null default clock_timestamp(),
    ended_at timestamptz,
    outcome text check (outcome in ('done', 'failed', 'warning')),
    message text,
    primary key (run_id, position)
);

-- A file is recorded by the transaction that published its rows.
create table udecdash.files (
    run_id bigint not null references udecdash.runs on delete cascade,
    table_name text not null,
    file_name text not null,
    size bigint not null,
    earliest text,
    lines bigint not null,
    loaded bigint not null,
    filtered bigint not null,
    repeated bigint not null,
    rejected bigint not null,
    primary key (run_id, table_name, file_name),
    check (lines = loaded + filtered + repeated + rejected)
);
create index files_by_name on udecdash.files (table_name, file_name, size);

create table udecdash.rejects (
    run_id bigint not null references udecdash.runs on delete cascade,
    table_name text not null,
    file_name text not null,
    line bigint,
    reason text not null
);
create index rejects_by_run on udecdash.rejects (run_id);

create table udecdash.table_loads (
    run_id bigint not null references udecdash.runs on delete cascade,
    table_name text not null,
    published_at timestamptz not null default clock_timestamp(),
    rows bigint not null,
    new bigint not null,
    changed bigint not null,
    gone bigint not null,
    primary key (run_id, table_name)
);

-- What is left to do follows from these two alone. Loads write the one, jobs the other, so neither waits for the other.
-- newest: local_id of the course's newest request.
create table udecdash.course_requests (
    course_id bigint primary key,
    newest bigint not null
);

-- mark: local_id of the newest request that was judged; resources_run: the run whose tables the unresolved ones were
-- last judged by; judged and interactions: what the last job did.
create table udecdash.courses (
    course_id bigint primary key,
    mark bigint not null default 0,
    unresolved bigint not null default 0,
    resources_run bigint not null default 0,
    processed_run bigint,
    processed_at timestamptz,
    judged bigint not null default 0,
    interactions bigint not null default 0
);
