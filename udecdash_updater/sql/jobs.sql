-- due_courses: known courses with requests not judged, or unresolved ones not judged by the newest tables
select d.id, coalesce(r.newest, 0) > coalesce(c.mark, 0), coalesce(c.unresolved, 0)
from course_dim d
left join udecdash.course_requests r on r.course_id = d.id
left join udecdash.courses c on c.course_id = d.id
where coalesce(r.newest, 0) > coalesce(c.mark, 0)
   or (c.unresolved > 0 and c.resources_run < (select coalesce(max(run_id), 0) from udecdash.table_loads))
order by d.id

-- course_members: students, teachers and others of each course, as the dashboard counts them for its queues
select course_id, count(*) from enrollment_dim where workflow_state::text in ('active', 'completed')
    and course_id = any (%(courses)s) group by course_id

-- lock_course: one writer a course, waiting for another one to end
select pg_advisory_lock(%(course)s)

-- unlock_course: give it back
select pg_advisory_unlock(%(course)s)

-- course_progress: the course's newest request, the newest judged, how many are unresolved, and what judges them
select coalesce(r.newest, 0), coalesce(c.mark, 0), d.canvas_id,
    (select coalesce(max(run_id), 0) from udecdash.table_loads)
from course_dim d
left join udecdash.course_requests r on r.course_id = d.id
left join udecdash.courses c on c.course_id = d.id
where d.id = %(course)s

-- course_pages: the pages that some module item of the course points at
select distinct p.url, p.id, p.canvas_id from module_item_dim m join wiki_page_dim p on p.id = m.wiki_page_id
where m.course_id = %(course)s and p.url is not null

-- look_up: the rows of a table with these ids
select {columns} from {table} where {column} = any (%(ids)s)

-- new_requests: the course's requests after its mark, in load order
select local_id, id, timestamp::text, user_id, course_id, quiz_id, discussion_id, assignment_id, url, user_agent
from requests where course_id = %(course)s and local_id > %(mark)s and local_id <= %(upto)s order by local_id

-- unresolved_requests: the course's requests that found nothing so far
select id, log, error_label, user_id, url from unprocessable_interactions where course_id = %(course)s order by id

-- hits_table: where a job gathers what resolved
create temporary table if not exists hits (
    place bigint, kind text, course_id bigint, user_id bigint, item_id bigint, item_canvas_id bigint,
    viewed timestamp(0), downloaded boolean, url text, device text) on commit delete rows

-- misses_table: where a job gathers what found nothing
create temporary table if not exists misses (
    place bigint, request_id text, user_id bigint, url text, label text, message text, log text) on commit delete rows

-- insert_hits: the interactions of one kind; the first in load order wins
insert into {target} (course_id, user_id, item_id, item_canvas_id, url, viewed, device)
select course_id, user_id, item_id, item_canvas_id, url, viewed, device from hits where kind = %(kind)s order by place
on conflict do nothing

-- insert_downloads: the interactions with attachments
insert into {target} (course_id, user_id, item_id, item_canvas_id, url, viewed, device, downloaded)
select course_id, user_id, item_id, item_canvas_id, url, viewed, device, downloaded
from hits where kind = %(kind)s order by place
on conflict do nothing

-- insert_days: one row a course, user and local day
insert into course_interactions (course_id, user_id, year_month, interaction_date)
select distinct course_id, user_id, to_char(viewed, 'YYYYMM')::integer, viewed::date from hits
on conflict do nothing

-- insert_misses: requests that found nothing, once each, even where requests holds one twice
insert into unprocessable_interactions (course_id, user_id, url, error_label, error_message, log)
select %(course)s, user_id, url, label, message, log
from (select *, row_number() over (partition by request_id order by place) as copy from misses) m
where copy = 1 order by place

-- delete_resolved: requests that found nothing once and now resolved
delete from unprocessable_interactions where course_id = %(course)s and id = any (%(ids)s)

-- relabel: requests that still find nothing, for another reason
update unprocessable_interactions u set error_label = v.label, error_message = v.message
from (values %s) v (id, label, message) where u.id = v.id

-- move_mark: what was judged, and by which tables
insert into udecdash.courses (course_id, mark, unresolved, resources_run, processed_run, processed_at, judged, interactions)
values (%(course)s, %(upto)s, %(unresolved)s, %(resources_run)s, %(run)s, clock_timestamp(), %(judged)s, %(interactions)s)
on conflict (course_id) do update set mark = greatest(courses.mark, excluded.mark), unresolved = excluded.unresolved,
    resources_run = excluded.resources_run, processed_run = excluded.processed_run,
    processed_at = excluded.processed_at, judged = excluded.judged, interactions = excluded.interactions
