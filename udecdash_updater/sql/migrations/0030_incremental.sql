-- What an unresolved request waits for, and what each load has touched: so a night judges again only what may resolve.

-- A want in 64 bits, as resolution.fingerprint makes it.
create function udecdash.fingerprint(want text) returns bigint language sql immutable strict parallel safe as
$$ select ('x' || encode(substr(sha256(convert_to(want, 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint $$;

-- number: the row of unprocessable_interactions. Written by jobs.
create table udecdash.wanted (
    course_id bigint not null,
    resource bigint not null,
    number bigint not null,
    primary key (course_id, resource, number)
);
create index wanted_by_resource on udecdash.wanted (resource);

-- Written by the transaction that published the tables; forgotten when every job has seen it.
create table udecdash.touched (
    resource bigint not null,
    run_id bigint not null,
    primary key (resource, run_id)
);

-- The loads that told what they touched. Any other one may have touched everything.
create table udecdash.tracked_loads (
    run_id bigint primary key references udecdash.runs on delete cascade
);

-- total: how many requests the course had up to `newest`, and how many of them were judged up to `mark`.
alter table udecdash.course_requests add column total bigint not null default 0;
-- canvas_id: the course's, when it was last judged; URLs name it.
alter table udecdash.courses
    add column total bigint not null default 0,
    add column canvas_id bigint;
-- Courses judged before wants were kept are judged as a whole once more.
update udecdash.courses set resources_run = 0;
