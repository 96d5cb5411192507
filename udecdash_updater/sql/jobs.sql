-- due_courses: known courses, how many of their requests wait to be judged, and how many unresolved ones again
with loads as (
    select coalesce(max(l.run_id), 0) as latest, coalesce(max(l.run_id) filter (where t.run_id is null), 0) as untold
    from udecdash.table_loads l left join udecdash.tracked_loads t using (run_id)),
resolvable as (
    select w.course_id, count(distinct w.number) as requests
    from udecdash.touched t join udecdash.wanted w using (resource) join udecdash.courses c using (course_id)
    where t.run_id > c.resources_run group by w.course_id),
progress as (
    select d.id, coalesce(r.newest, 0) > coalesce(c.mark, 0) as fresh,
        greatest(coalesce(r.total, 0) - coalesce(c.total, 0), 1) as waiting,
        case when c.canvas_id is distinct from d.canvas_id and c.canvas_id is not null
            or c.resources_run < loads.latest and c.resources_run < greatest(loads.untold, 1)
        then c.unresolved else v.requests end as again
    from loads cross join course_dim d
    left join udecdash.course_requests r on r.course_id = d.id
    left join udecdash.courses c on c.course_id = d.id
    left join resolvable v on v.course_id = d.id)
select id, case when fresh then waiting else 0 end, coalesce(again, 0) from progress
where fresh or again > 0 order by id

-- course_members: students, teachers and others of each course, as the dashboard counts them for its queues
select course_id, count(*) from enrollment_dim where workflow_state::text in ('active', 'completed')
    and course_id = any (%(courses)s) group by course_id

-- lock_course: one writer a course, waiting for another one to end; shared: a job is at work (see touched.sql)
select pg_advisory_lock_shared(hashtext('udecdash-updater'), hashtext('jobs')), pg_advisory_lock(%(course)s)

-- unlock_course: give both back
select pg_advisory_unlock_shared(hashtext('udecdash-updater'), hashtext('jobs')), pg_advisory_unlock(%(course)s)

-- course_progress: how far the course is, as course.Progress has it
select coalesce(r.newest, 0), coalesce(r.total, 0), coalesce(c.mark, 0), coalesce(c.total, 0),
    case when coalesce(r.total, 0) - coalesce(c.total, 0) > %(slice)s then (
        select q.local_id from requests q where q.course_id = d.id and q.local_id > coalesce(c.mark, 0)
        order by q.local_id offset %(slice)s - 1 limit 1) end,
    d.canvas_id, coalesce(c.unresolved, 0), coalesce(c.resources_run, 0),
    (select coalesce(max(run_id), 0) from udecdash.table_loads),
    c.canvas_id is distinct from d.canvas_id or c.resources_run = 0 or exists (
        select from udecdash.table_loads l where l.run_id > c.resources_run
            and not exists (select from udecdash.tracked_loads t where t.run_id = l.run_id))
from course_dim d
left join udecdash.course_requests r on r.course_id = d.id
left join udecdash.courses c on c.course_id = d.id
where d.id = %(course)s

-- course_pages: the pages that some module item of the course points at
select p.url, p.id, p.canvas_id, m.id from module_item_dim m join wiki_page_dim p on p.id = m.wiki_page_id
where m.course_id = %(course)s and p.url is not null

-- look_up: the rows of a table with these ids
select {columns} from {table} where {column} = any (%(ids)s)

-- new_requests: the course's requests after its mark, in load order
select local_id, id, timestamp::text, user_id, course_id, quiz_id, discussion_id, assignment_id, url, user_agent
from requests where course_id = %(course)s and local_id > %(mark)s and local_id <= %(upto)s order by local_id

-- unresolved_requests: the course's requests that found nothing so far
select id, log, error_label, user_id, url from unprocessable_interactions where course_id = %(course)s order by id

-- resolvable_requests: those of them that wait for something that was touched since they were judged
select id, log, error_label, user_id, url from unprocessable_interactions
where course_id = %(course)s and id in (
    select w.number from udecdash.wanted w join udecdash.touched t using (resource)
    where w.course_id = %(course)s and t.run_id > %(seen)s)
order by id

-- hits_table: where a job gathers what resolved
create temporary table if not exists hits (
    place bigint, kind text, course_id bigint, user_id bigint, item_id bigint, item_canvas_id bigint,
    viewed timestamp(0), downloaded boolean, url text, device text) on commit delete rows

-- waiting_table: where a job gathers what found nothing and waits for something; each row has its id already
create temporary table if not exists waiting (like unprocessable_interactions including defaults, place bigint)
on commit delete rows

-- wants_table: where a job gathers what its unresolved requests wait for: new ones by place, others by number
create temporary table if not exists wants (place bigint, number bigint, resource bigint) on commit delete rows

-- insert_hits: the interactions of one kind, in the order of their key, so that each part of an index is met once; of
-- each key the first in load order wins
insert into {target} (course_id, user_id, item_id, item_canvas_id, url, viewed, device)
select course_id, user_id, item_id, item_canvas_id, url, viewed, device
from hits where kind = %(kind)s order by item_canvas_id, user_id, viewed, place
on conflict do nothing

-- insert_downloads: the interactions with attachments
insert into {target} (course_id, user_id, item_id, item_canvas_id, url, viewed, device, downloaded)
select course_id, user_id, item_id, item_canvas_id, url, viewed, device, downloaded
from hits where kind = %(kind)s order by item_canvas_id, user_id, viewed, place
on conflict do nothing

-- insert_days: one row a course, user and local day
insert into course_interactions (course_id, user_id, year_month, interaction_date)
select distinct course_id, user_id, to_char(viewed, 'YYYYMM')::integer, viewed::date from hits
on conflict do nothing

-- insert_waiting: requests that found nothing and wait for something
insert into unprocessable_interactions (id, course_id, user_id, url, error_label, error_message, log)
select id, course_id, user_id, url, error_label, error_message, log from waiting order by id

-- insert_wants: what the unresolved requests of this job wait for
insert into udecdash.wanted (course_id, resource, number)
select %(course)s, w.resource, coalesce(w.number, m.id) from wants w left join waiting m using (place)
on conflict do nothing

-- forget_wants: of requests that were judged again
delete from udecdash.wanted where course_id = %(course)s and number = any (%(numbers)s)

-- forget_all_wants: of a course whose unresolved requests are all judged again
delete from udecdash.wanted where course_id = %(course)s

-- delete_resolved: requests that found nothing once and now resolved
delete from unprocessable_interactions where course_id = %(course)s and id = any (%(ids)s)

-- relabel: requests that still find nothing, for another reason
update unprocessable_interactions u set error_label = v.label, error_message = v.message
from (values %s) v (id, label, message) where u.id = v.id

-- move_mark: what was judged, and by which tables
insert into udecdash.courses (course_id, mark, total, unresolved, resources_run, canvas_id, processed_run, processed_at,
    judged, interactions)
values (%(course)s, %(upto)s, %(total)s, %(unresolved)s, %(tables_run)s, %(canvas_id)s, %(run)s, clock_timestamp(),
    %(judged)s, %(interactions)s)
on conflict (course_id) do update set mark = greatest(courses.mark, excluded.mark), total = excluded.total,
    unresolved = excluded.unresolved, resources_run = excluded.resources_run, canvas_id = excluded.canvas_id,
    judged = excluded.judged + case when courses.processed_run = excluded.processed_run then courses.judged else 0 end,
    interactions = excluded.interactions
        + case when courses.processed_run = excluded.processed_run then courses.interactions else 0 end,
    processed_run = excluded.processed_run, processed_at = excluded.processed_at, failures = 0, failure = null
