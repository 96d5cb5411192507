-- loaded_request_files: request files loaded as they are, by name, size and checksum
select distinct file_name, size, checksum from udecdash.files where table_name = 'requests'

-- files_of_the_first_updater: request files that the first UDECDash updater loaded; it recorded no checksum
select distinct file_name::text, file_size::bigint, null::bigint from package_files_loaded
where table_name = 'requests' and status = 'success'

-- lock_requests: local_id grows in load order only while nobody else inserts
lock table requests in share row exclusive mode

-- judge_at_once: what a found table would judge at the end, when no row is told any more
set constraints all immediate

-- requests_top: the newest local_id
select coalesce(max(local_id), 0) from requests

-- requests_since: how many are newer
select count(*) from requests where local_id > %(top)s

-- delete_known_requests: ids that are in requests already, each looked up in the index of ids
with gone as (delete from {staging} s
    where exists (select from requests r where r.id = s.id offset 0) returning s.file) -- offset 0: never by a scan
select file, count(*) from gone group by file

-- mend_sequence: local_id grows, even where somebody set the sequence back or filled the column by hand
select setval(found.name, found.top)
from (select pg_get_serial_sequence('requests', 'local_id') as name, (select max(local_id) from requests) as top) found
where found.name is not null and found.top is not null
  and found.top > coalesce(pg_sequence_last_value(found.name::regclass), 0)

-- drop_requests_time: what earlier versions made would refuse repeated requests of an emptied table
drop index if exists requests_timestamp_id_index

-- forget_requested_courses: an empty table begins anew, whatever it held before
delete from udecdash.course_requests

-- forget_marks: as above; what was judged then stays where it is
update udecdash.courses set mark = 0, total = 0 where mark > 0

-- newest_noted: up to where the ledger knows which courses got requests
select coalesce(max(newest), 0) from udecdash.course_requests

-- note_requested_courses: the newest request of each course that got some, by whomever
insert into udecdash.course_requests (course_id, newest, total)
select course_id, max(local_id), count(*) from requests where course_id is not null and local_id > %(newest)s
group by course_id
on conflict (course_id) do update set newest = greatest(course_requests.newest, excluded.newest),
    total = course_requests.total + excluded.total

-- any_course_noted: whether the ledger knows any course yet
select exists (select from udecdash.course_requests)

-- note_unresolved_courses: unresolved requests that another program recorded before us
insert into udecdash.courses (course_id, unresolved)
select course_id, count(*) from unprocessable_interactions group by course_id
on conflict do nothing

-- create_request_staging: what the streams fill, one child each, in file order; file is its place in it (rule R14)
create unlogged table {staging} ({parts}) with (autovacuum_enabled = off)

-- create_request_stream: one stream's part of the staging
create unlogged table {table} () inherits ({staging}) with (autovacuum_enabled = off)

-- drop_request_staging: emptied after each run, and before the next where a run was killed
drop table if exists {staging} cascade

-- more_memory: for sorting a night's rows and building indexes, each by several processes; this transaction's only
select set_config('work_mem', '64MB', true), set_config('maintenance_work_mem', '256MB', true),
    set_config('max_parallel_maintenance_workers', %(helpers)s, true)

-- plain_pages: pages of random ids hardly shrink: a fifth less WAL cost two fifths more of the processor's time
select set_config(name, 'off', true) from pg_settings where name = 'wal_compression' and source = 'session'

-- group_by: whether groups may be counted by hash; sorting the hashes of ids is twice as fast as that
select set_config('enable_hashagg', %(hash)s, true)

-- delete_repeated_rows: the first load's requests that stand twice: the first in load order stays; files by their top
with many as materialized (select hashtextextended(id::text, 0) as mark from requests group by 1 having count(*) > 1),
ranked as (
    select local_id, row_number() over (partition by id order by local_id) as copy
    from requests join many on hashtextextended(id::text, 0) = mark),
gone as (delete from requests r using ranked where r.local_id = ranked.local_id and copy > 1 returning r.local_id)
select (select min(top) from unnest(%(tops)s::bigint[]) top where top >= local_id), count(*) from gone group by 1

-- delete_suspected_rows: the same, where only some ids may stand twice; offset 0: each is looked up
with ranked as materialized (
    select found.part, found.place, row_number() over (partition by found.id order by found.local_id) as copy
    from (select distinct id from unnest(string_to_array(%(ids)s, chr(10))) id) suspect
    cross join lateral (select r.tableoid as part, r.ctid as place, r.local_id, r.id from requests r
        where r.id = suspect.id offset 0) found),
gone as (delete from requests where ctid = any (array(select place from ranked where copy > 1))
    and (tableoid, ctid) in (select part, place from ranked where copy > 1) returning local_id) -- of partitions too
select (select min(top) from unnest(%(tops)s::bigint[]) top where top >= local_id), count(*) from gone group by 1

-- delete_repeated_requests: the same id twice in this load: the first in load order stays
with many as materialized (
    select hashtextextended(id::text, 0) as mark from {staging} group by 1 having count(*) > 1),
ranked as (
    select s.tableoid as part, s.ctid as place, row_number() over (partition by s.id order by s.file, s.ctid) as copy
    from {staging} s join many on hashtextextended(s.id::text, 0) = mark),
gone as (delete from {staging} s using ranked r
    where s.tableoid = r.part and s.ctid = r.place and r.copy > 1 returning s.file)
select file, count(*) from gone group by file

-- insert_requests: what is left, in load order
insert into requests (id, timestamp, user_id, course_id, quiz_id, discussion_id, conversation_id, assignment_id,
    url, user_agent)
select id, timestamp, user_id, course_id, quiz_id, discussion_id, conversation_id, assignment_id, url, user_agent
from {staging} waiting order by file, ctid

-- number_requests: the staged requests in load order, to be written part by part
create temporary table {numbered} on commit drop as
select row_number() over (order by file, ctid) as place, * from {staging}

-- numbered_part: those of some places
(select ctid, * from {numbered} where place >= {low} and place < {high})

-- numbered_request: whose row it is
select file, id::text from {staging} waiting
